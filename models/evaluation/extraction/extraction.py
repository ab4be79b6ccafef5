"""The result of an extraction, and the search for the clause that holds the answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from models.evaluation.extraction.rules import ASSESSMENT, CORRECTION, MARKERS, SENTENCE_END


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """The answer that a text gives."""

    answer: str | None
    """None if the text gives none, or more than one."""
    is_ambiguous: bool = False
    """Whether the text gives more than one answer."""


NO_ANSWER = Extraction(answer=None)
AMBIGUOUS = Extraction(answer=None, is_ambiguous=True)


@dataclass(frozen=True, kw_only=True)
class Clause:
    """The text between a marker and the end of its sentence."""

    text: str
    language: str
    """Language of the marker; empty if every language uses it."""


def marked_clauses(text: str) -> Iterator[Clause]:
    """Yield the clauses after the markers of a text, the last first.

    Within the text that follows a marker, what follows a correction comes before the rest.
    """
    matches = sorted(
        ((match, marker) for marker in MARKERS for match in marker.pattern.finditer(text)),
        key=lambda pair: pair[0].start(),
    )
    end = len(text)
    for match, marker in reversed(matches):
        tail = text[match.end() : end]
        end = min(end, match.start())
        for part in _corrected_parts(tail):
            clause = first_clause(part)
            if clause:
                yield Clause(text=clause, language=marker.language)


def assessments_last(clauses: Iterable[Clause]) -> list[Clause]:
    """Move the clauses that judge an answer behind those that may give one.

    The numbers and letters of "my answer is correct, as I checked it 2 times" are no answer where
    another marker gives one.
    """
    return sorted(clauses, key=lambda clause: is_assessment(clause.text))


def is_assessment(clause: str) -> bool:
    """Return whether a clause judges an answer: "correct", as in "my answer is correct"."""
    return ASSESSMENT.pattern.match(clause) is not None


def after_correction(text: str) -> str:
    """Return the text after the last correction, or the complete text."""
    return next(_corrected_parts(text))


def first_clause(text: str) -> str:
    """Return the first sentence of a text's first line that is not blank."""
    line = text.lstrip(' \n\t:*_`"')
    end = SENTENCE_END.pattern.search(line)
    return re.sub(r"[\s*_`]+$", "", line[: end.start()] if end else line)


def _corrected_parts(text: str) -> Iterator[str]:
    corrections = list(CORRECTION.pattern.finditer(text))
    if corrections and text[corrections[-1].end() :].strip():
        yield text[corrections[-1].end() :]
        yield text[: corrections[0].start()]
    else:
        yield text
