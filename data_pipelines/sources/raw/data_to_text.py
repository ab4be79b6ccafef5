"""Facts to be put into a sentence: E2E and DART. Several texts are right for the same facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from data_pipelines.example import RejectedRow
from data_pipelines.sources.part import BadRow, Part, text_of
from data_pipelines.sources.raw.row import RawRow


def e2e_records(part: Part) -> Iterator[tuple[int, Any]]:
    """Rows of the CSV, each with every text that the file gives for the same facts."""
    rows = list(part.table())
    texts: dict[str, list[str]] = defaultdict(list)
    for _, record in rows:
        if not isinstance(record, RejectedRow):
            texts[record.get("mr", "")].append(record.get("ref", "").strip())
    for row, record in rows:
        if isinstance(record, RejectedRow):
            yield row, record
        else:
            yield row, {**record, "all": texts[record.get("mr", "")]}


def e2e(record: dict[str, Any]) -> RawRow:
    """E2E (arXiv 1706.09254): `name[Alimentum], area[city centre]` -> a sentence."""
    facts, text = (text_of(record.get(key), key) for key in ("mr", "ref"))
    return RawRow(
        columns={"meaning_representation": facts, "human_reference": text},
        question=facts,
        answer=text,
        references=_first(text, record["all"]),
    )


def dart(record: dict[str, Any]) -> Iterator[RawRow]:
    """DART (arXiv 2007.02871): triples -> a sentence, an example for each annotation."""
    triples = record.get("tripleset")
    if not isinstance(triples, list) or not triples or any(len(t) != 3 for t in triples):
        raise BadRow("no tripleset of subject, predicate, object")
    facts = "; ".join(" | ".join(str(cell) for cell in triple) for triple in triples)
    texts = [text_of(a.get("text"), "annotation") for a in record.get("annotations") or []]
    if not texts:
        raise BadRow("no annotation")
    for text in texts:
        yield RawRow(
            columns={"tripleset": triples, "annotations": {"text": texts}, "target": text},
            question=facts,
            answer=text,
            references=_first(text, texts),
        )


def _first(text: str, texts: list[str]) -> tuple[str, ...]:
    """All of them once, `text` in front."""
    return tuple(dict.fromkeys([text, *(other for other in texts if other)]))
