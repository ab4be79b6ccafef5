"""Data-to-text generation: E2E and DART. The same facts may have several reference texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import InvalidRow, Part, require_text
from data_pipelines.sources.raw.row import RawRow


def read_e2e(part: Part) -> Iterator[tuple[int, Any]]:
    """Yield the rows of E2E's CSV file; `references` lists all texts of the same facts."""
    rows = list(part.csv_rows())
    texts_by_facts: dict[str, list[str]] = defaultdict(list)
    for _, record in rows:
        if not isinstance(record, RejectedRow):
            texts_by_facts[record.get("mr", "")].append(record.get("ref", "").strip())
    for row, record in rows:
        if isinstance(record, RejectedRow):
            yield row, record
        else:
            yield row, {**record, "references": texts_by_facts[record.get("mr", "")]}


def e2e(record: dict[str, Any]) -> RawRow:
    """Convert a row of E2E (arXiv 1706.09254): `name[Alimentum], area[city centre]` -> a text."""
    facts, text = (require_text(record.get(key), key) for key in ("mr", "ref"))
    return RawRow(
        columns={"meaning_representation": facts, "human_reference": text},
        question=facts,
        answer=text,
        references=_put_first(text, record["references"]),
    )


def dart(record: dict[str, Any]) -> Iterator[RawRow]:
    """Convert a record of DART (arXiv 2007.02871): triples -> a text, one row per annotation.

    Raises:
        InvalidRow: The triples or the annotations are missing.
    """
    triples = record.get("tripleset")
    if not isinstance(triples, list) or not triples or any(len(t) != 3 for t in triples):
        raise InvalidRow("no tripleset of subject, predicate, object")
    facts = "; ".join(" | ".join(str(cell) for cell in triple) for triple in triples)
    texts = [require_text(a.get("text"), "annotation") for a in record.get("annotations") or []]
    if not texts:
        raise InvalidRow("no annotation")
    for text in texts:
        yield RawRow(
            columns={"tripleset": triples, "annotations": {"text": texts}, "target": text},
            question=facts,
            answer=text,
            references=_put_first(text, texts),
        )


def _put_first(text: str, texts: list[str]) -> tuple[str, ...]:
    """Return the distinct non-empty texts, `text` first."""
    return tuple(dict.fromkeys([text, *(other for other in texts if other)]))
