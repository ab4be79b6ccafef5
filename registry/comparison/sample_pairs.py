"""Answers of two versions to the same items, side by side: which does A get right and B wrong?"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from registry.errors import InvalidQuery

RIGHT = 0.5
"""Smallest score of an answer that counts as right; graded scores lie between 0 and 1."""
MAX_PAGE = 200
_TEXTS = ("prompt", "expected", "answer", "generated_text")
_FLAGS = ("contaminated", "truncated", "unfinished", "unanswered")
_COLUMNS = ("task", "id", "score", *_TEXTS, *_FLAGS)


class PairOfAnswers(StrEnum):
    """Which of two answers is right."""

    ONLY_A = "only A right"
    ONLY_B = "only B right"
    BOTH = "both right"
    NEITHER = "both wrong"


@dataclass(frozen=True, kw_only=True)
class SampleFilter:
    """Which items to list."""

    task: str = ""
    """Empty: every task."""
    right: PairOfAnswers | None = None
    contaminated: bool | None = None
    """Whether the item overlaps with a training mixture of A or B; None: any."""
    truncated: bool | None = None
    """Whether the start of the prompt was cut off for A or B; None: any."""
    offset: int = 0
    limit: int = 20


@dataclass(frozen=True, kw_only=True)
class SampleAnswer:
    """The answer of a version."""

    score: float
    answer: str
    generated_text: str
    unfinished: bool
    """Whether generation stopped at the maximum length."""
    unanswered: bool
    """Whether the text contains no answer, or several."""


@dataclass(frozen=True, kw_only=True)
class SamplePair:
    """An item with the answers of both versions."""

    task: str
    id: str
    prompt: str
    """Of A; empty in samples of release 0.1.0."""
    expected: str
    right: PairOfAnswers
    contaminated: bool | None
    truncated: bool
    a: SampleAnswer
    b: SampleAnswer


@dataclass(frozen=True, kw_only=True)
class SamplePage:
    """A page of the items that match a filter."""

    counts: dict[str, int]
    """Number of items by which answers are right, of all items of both versions."""
    tasks: tuple[str, ...]
    num_matches: int
    pairs: tuple[SamplePair, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the page as JSON values."""
        return asdict(self)


def pair_samples(a: Path, b: Path, criteria: SampleFilter) -> SamplePage:
    """Return the items that both versions answered and that match a filter.

    Args:
        a: samples.parquet of A.
        b: samples.parquet of B.
        criteria: the filter.

    Raises:
        InvalidQuery: offset or limit is not valid, or no item has the task.
    """
    if criteria.offset < 0 or not 1 <= criteria.limit <= MAX_PAGE:
        raise InvalidQuery(
            f"samples: offset {criteria.offset} and limit {criteria.limit} are not valid; "
            f"expected an offset of 0 or more and a limit of 1 to {MAX_PAGE}"
        )
    rows_a, rows_b = _read(a), _read(b)
    index_b = {key: i for i, key in enumerate(rows_b.keys)}
    places = [(i, index_b[key]) for i, key in enumerate(rows_a.keys) if key in index_b]
    tasks = tuple(dict.fromkeys(rows_a.keys[i][0] for i, _ in places))
    if criteria.task and criteria.task not in tasks:
        raise InvalidQuery(
            f"samples: no item of both has the task {criteria.task!r}; expected one of "
            f"{', '.join(tasks[:20]) or 'none'}"
        )
    counts: Counter[str] = Counter()
    matches = []
    for i, j in places:
        right = _which_is_right(rows_a.scores[i], rows_b.scores[j])
        counts[right.value] += 1
        if _is_match(rows_a, i, rows_b, j, right, criteria):
            matches.append((i, j, right))
    shown = matches[criteria.offset : criteria.offset + criteria.limit]
    texts_a = rows_a.texts([i for i, _, _ in shown])
    texts_b = rows_b.texts([j for _, j, _ in shown])
    return SamplePage(
        counts={kind.value: counts[kind.value] for kind in PairOfAnswers},
        tasks=tasks,
        num_matches=len(matches),
        pairs=tuple(
            SamplePair(
                task=rows_a.keys[i][0],
                id=rows_a.keys[i][1],
                prompt=text_a["prompt"],
                expected=text_a["expected"],
                right=right,
                contaminated=_either("contaminated", rows_a, i, rows_b, j),
                truncated=bool(_either("truncated", rows_a, i, rows_b, j)),
                a=_answer(rows_a, i, text_a),
                b=_answer(rows_b, j, text_b),
            )
            for (i, j, right), text_a, text_b in zip(shown, texts_a, texts_b, strict=True)
        ),
    )


@dataclass(frozen=True)
class _Rows:
    """Samples of a version; texts are read for the shown items only."""

    table: pa.Table
    keys: list[tuple[str, str]]
    """Task and id of each item."""
    scores: list[float]
    flags: dict[str, list[bool | None]]

    def texts(self, positions: list[int]) -> list[dict[str, str]]:
        """Return the texts of some items."""
        present = [name for name in _TEXTS if name in self.table.column_names]
        rows = self.table.select(present).take(positions).to_pylist() if present else []
        empty = dict.fromkeys(_TEXTS, "")
        rows = rows or [{} for _ in positions]
        return [{**empty, **{k: v for k, v in row.items() if v is not None}} for row in rows]


def _read(file: Path) -> _Rows:
    names = set(pq.read_schema(file).names)
    table: pa.Table = pq.read_table(file, columns=[name for name in _COLUMNS if name in names])
    tasks, ids = table["task"].to_pylist(), table["id"].to_pylist()
    absent = [None] * table.num_rows
    return _Rows(
        table=table,
        keys=list(zip(tasks, ids, strict=True)),
        scores=table["score"].to_pylist(),
        flags={name: table[name].to_pylist() if name in names else list(absent) for name in _FLAGS},
    )


def _which_is_right(score_a: float, score_b: float) -> PairOfAnswers:
    if score_a >= RIGHT:
        return PairOfAnswers.BOTH if score_b >= RIGHT else PairOfAnswers.ONLY_A
    return PairOfAnswers.ONLY_B if score_b >= RIGHT else PairOfAnswers.NEITHER


def _is_match(
    rows_a: _Rows, i: int, rows_b: _Rows, j: int, right: PairOfAnswers, criteria: SampleFilter
) -> bool:
    if criteria.task and rows_a.keys[i][0] != criteria.task:
        return False
    if criteria.right is not None and right != criteria.right:
        return False
    for name in ("contaminated", "truncated"):
        expected = getattr(criteria, name)
        value = _either(name, rows_a, i, rows_b, j)
        if expected is not None and bool(value) != expected:
            return False
    return True


def _either(name: str, rows_a: _Rows, i: int, rows_b: _Rows, j: int) -> bool | None:
    """Return whether a flag is set for A or B; None if neither is known to be."""
    a, b = rows_a.flags[name][i], rows_b.flags[name][j]
    return True if a or b else (None if a is None or b is None else False)


def _answer(rows: _Rows, i: int, texts: dict[str, str]) -> SampleAnswer:
    return SampleAnswer(
        score=rows.scores[i],
        answer=texts["answer"],
        generated_text=texts["generated_text"],
        unfinished=bool(rows.flags["unfinished"][i]),
        unanswered=bool(rows.flags["unanswered"][i]),
    )
