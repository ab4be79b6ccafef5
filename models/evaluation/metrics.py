"""Scores of generated answers: accuracy, SQuAD's exact match and F1, ROUGE-L."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from models.evaluation.extraction.answers import answers_match, extract_answer
from models.evaluation.extraction.options import extract_choice
from models.evaluation.prompts import EvalPrompt
from models.evaluation.span_metrics import normalise_span, span_f1

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, kw_only=True)
class AnswerScore:
    """The score of one generated text; all scores are between 0 and 1."""

    answer: str
    """Answer extracted from the text; empty if it contains none."""
    has_answer: bool
    """Whether the text contains one answer."""
    score: float
    is_ambiguous: bool = False
    """Whether the text contains several answers, none of which counts."""
    other_metrics: dict[str, float] = field(default_factory=dict)
    """Further metrics of the same answer."""


def score_answer(metric: str, prompt: EvalPrompt, text: str) -> AnswerScore:
    """Score a generated text by a metric of `METRICS`."""
    return METRICS[metric](prompt, text)


def accuracy(prompt: EvalPrompt, text: str) -> AnswerScore:
    """Score 1 if the answer extracted from the text is the expected one."""
    if prompt.options is not None:
        extraction = extract_choice(text, prompt.options)
        is_correct = extraction.answer == prompt.answer
    else:
        extraction = extract_answer(text, prompt.answer, prompt.language)
        is_correct = answers_match(extraction.answer, prompt.answer)
    return AnswerScore(
        answer=extraction.answer or "",
        has_answer=extraction.answer is not None,
        is_ambiguous=extraction.is_ambiguous,
        score=float(is_correct),
    )


def exact_match(prompt: EvalPrompt, text: str) -> AnswerScore:
    """Compute SQuAD's exact match, and F1 as another metric, against the best reference.

    The generated text itself is the answer; no part of it is extracted.
    """
    answer = text.strip()
    language = prompt.language
    normalised = normalise_span(answer, language)
    match = max(float(normalised == normalise_span(r, language)) for r in prompt.references)
    f1 = max(span_f1(answer, reference, language) for reference in prompt.references)
    return AnswerScore(
        answer=answer, has_answer=bool(answer), score=match, other_metrics={"f1": f1}
    )


def rouge_l(prompt: EvalPrompt, text: str) -> AnswerScore:
    """Compute ROUGE-L's F-measure with stemming, and exact match, against the best reference.

    As in the evaluation of Super-NaturalInstructions (Wang et al., arXiv 2204.07705): case,
    punctuation and spacing do not count in the exact match. ROUGE's tokens are ASCII letters and
    digits; a reference without any, which it scores 0, scores 1 against an equal text.
    """
    answer = text.strip()
    scorer = _rouge_scorer()
    value = max(
        scorer.score(r, answer)["rougeL"].fmeasure if _has_rouge_tokens(r) else float(r == answer)
        for r in prompt.references
    )
    match = max(
        float(_without_punctuation(answer) == _without_punctuation(r)) for r in prompt.references
    )
    return AnswerScore(
        answer=answer,
        has_answer=bool(answer),
        score=float(value),
        other_metrics={"exact_match": match},
    )


METRICS: dict[str, Callable[[EvalPrompt, str], AnswerScore]] = {
    "accuracy": accuracy,
    "exact_match": exact_match,
    "rouge_l": rouge_l,
}


def _has_rouge_tokens(text: str) -> bool:
    return any(c.isascii() and c.isalnum() for c in text)


def _without_punctuation(text: str) -> str:
    return " ".join(text.lower().translate(_PUNCTUATION).split())


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
