"""What an answer is worth: right or wrong, or by its overlap with references."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from models.evaluation.extraction import extract_answer, extract_choice, answers_match
from models.evaluation.prompts import EvalPrompt

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A written answer and its worth, each in 0..1."""

    answer: str
    """What was taken for the answer."""
    found: bool
    """Whether the text holds an answer at all."""
    score: float
    others: dict[str, float] = field(default_factory=dict)
    """Further metrics of the same answer."""


def score(metric: str, question: EvalPrompt, written: str) -> Scored:
    """The worth of a text that a model wrote."""
    return SCORERS[metric](question, written)


def accuracy(question: EvalPrompt, written: str) -> Scored:
    """1 if the answer that the text gives is the expected one."""
    if question.options is not None:
        given = extract_choice(written, question.options)
        right = given == question.answer
    else:
        given = extract_answer(written, question.answer)
        right = answers_match(given, question.answer)
    return Scored(answer=given or "", found=given is not None, score=float(right))


def exact_match(question: EvalPrompt, written: str) -> Scored:
    """SQuAD's exact match, and its F1, with the reference that suits the answer best.

    Rajpurkar et al., arXiv 1606.05250: case, punctuation and English articles aside.
    """
    given = extract_answer(written, question.answer) or ""
    said = squad_form(given)
    match = max(float(said == squad_form(r)) for r in question.references)
    f1 = max(token_f1(said.split(), squad_form(r).split()) for r in question.references)
    return Scored(answer=given, found=bool(given), score=match, others={"f1": f1})


def rouge_l(question: EvalPrompt, written: str) -> Scored:
    """ROUGE-L's F-measure with stemming, best reference; exact match beside it.

    As in the evaluation of Super-NaturalInstructions (Wang et al., arXiv 2204.07705), for which
    case, punctuation and spacing do not count in an exact match.
    """
    given = written.strip()
    measure = _rouge()
    value = max(measure.score(r, given)["rougeL"].fmeasure for r in question.references)
    match = max(float(_bare(given) == _bare(r)) for r in question.references)
    return Scored(
        answer=given, found=bool(given), score=float(value), others={"exact_match": match}
    )


SCORERS: dict[str, Callable[[EvalPrompt, str], Scored]] = {
    "accuracy": accuracy,
    "exact_match": exact_match,
    "rouge_l": rouge_l,
}


def squad_form(text: str) -> str:
    """Lower case, no punctuation, no English article, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(given: Sequence[str], expected: Sequence[str]) -> float:
    """Harmonic mean of precision and recall over tokens; 1 if both are empty."""
    if not given or not expected:
        return float(given == expected)
    common = sum((Counter(given) & Counter(expected)).values())
    return 2 * common / (len(given) + len(expected))


def _bare(text: str) -> str:
    return " ".join(text.lower().translate(_PUNCTUATION).split())


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
