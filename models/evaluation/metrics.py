"""Scores of generated answers: accuracy, SQuAD's exact match and F1, ROUGE-L."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from models.evaluation.extraction import answers_match, extract_answer, extract_choice
from models.evaluation.prompts import EvalPrompt

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, kw_only=True)
class AnswerScore:
    """The score of one generated text; all scores are between 0 and 1."""

    answer: str
    """Answer extracted from the text; empty if it contains none."""
    has_answer: bool
    """Whether the text contains an answer."""
    score: float
    other_metrics: dict[str, float] = field(default_factory=dict)
    """Further metrics of the same answer."""


def score_answer(metric: str, prompt: EvalPrompt, text: str) -> AnswerScore:
    """Score a generated text by a metric of `METRICS`."""
    return METRICS[metric](prompt, text)


def accuracy(prompt: EvalPrompt, text: str) -> AnswerScore:
    """Score 1 if the answer extracted from the text is the expected one."""
    if prompt.options is not None:
        answer = extract_choice(text, prompt.options)
        is_correct = answer == prompt.answer
    else:
        answer = extract_answer(text, prompt.answer)
        is_correct = answers_match(answer, prompt.answer)
    return AnswerScore(answer=answer or "", has_answer=answer is not None, score=float(is_correct))


def exact_match(prompt: EvalPrompt, text: str) -> AnswerScore:
    """Compute SQuAD's exact match, and F1 as another metric, against the best reference.

    Case, punctuation and English articles do not count (Rajpurkar et al., arXiv 1606.05250).
    """
    answer = extract_answer(text, prompt.answer) or ""
    normalised = normalise_squad(answer)
    match = max(float(normalised == normalise_squad(r)) for r in prompt.references)
    f1 = max(token_f1(normalised.split(), normalise_squad(r).split()) for r in prompt.references)
    return AnswerScore(
        answer=answer, has_answer=bool(answer), score=match, other_metrics={"f1": f1}
    )


def rouge_l(prompt: EvalPrompt, text: str) -> AnswerScore:
    """Compute ROUGE-L's F-measure with stemming, and exact match, against the best reference.

    As in the evaluation of Super-NaturalInstructions (Wang et al., arXiv 2204.07705): case,
    punctuation and spacing do not count in the exact match.
    """
    answer = text.strip()
    scorer = _rouge_scorer()
    value = max(scorer.score(r, answer)["rougeL"].fmeasure for r in prompt.references)
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


def normalise_squad(text: str) -> str:
    """Lower the case, drop punctuation and English articles, collapse spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(answer: Sequence[str], expected: Sequence[str]) -> float:
    """Compute the harmonic mean of precision and recall over tokens; 1 if both are empty."""
    if not answer or not expected:
        return float(answer == expected)
    num_common = sum((Counter(answer) & Counter(expected)).values())
    return 2 * num_common / (len(answer) + len(expected))


def _without_punctuation(text: str) -> str:
    return " ".join(text.lower().translate(_PUNCTUATION).split())


@cache
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
