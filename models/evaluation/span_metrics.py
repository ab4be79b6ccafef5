"""Exact match and F1 of answer spans, as in SQuAD, with the articles of each language."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter

ARTICLES = {
    "": re.compile(r"\b(?:a|an|the)\b"),
    "en": re.compile(r"\b(?:a|an|the)\b"),
    "ar": re.compile(r"(?:^|(?<=\s))\u0627\u0644"),  # the prefix al-
}
"""ISO 639-1 code -> articles that do not count. Empty: English. Source: SQuAD for English;
lm-evaluation-harness 0.4.13, tasks/tydiqa and tasks/mlqa, for Arabic."""


def normalise_span(text: str, language: str = "") -> str:
    """Lower the case, drop punctuation and articles, collapse spaces.

    The script of TyDiQA's gold passage task runs SQuAD's script on each language: it lowers the
    case, and drops ASCII punctuation and the English articles (Rajpurkar et al., arXiv 1606.05250;
    Clark et al., arXiv 2003.05002, section 8). As in lm-evaluation-harness, punctuation here is
    that of every script, and the articles are those of the language, so that `২০২৪।` is `২০২৪`. On
    English text without other punctuation, the result is SQuAD's.

    Args:
        text: an answer or a reference.
        language: ISO 639-1 code; empty for English.
    """
    text = "".join(c for c in text.lower() if not _is_punctuation(c))
    if language in ARTICLES:
        text = ARTICLES[language].sub(" ", text)
    return " ".join(text.split())


def span_f1(answer: str, reference: str, language: str = "") -> float:
    """Compute the harmonic mean of precision and recall over tokens; 1 if both have none."""
    answer_tokens = normalise_span(answer, language).split()
    reference_tokens = normalise_span(reference, language).split()
    if not answer_tokens or not reference_tokens:
        return float(answer_tokens == reference_tokens)
    num_common = sum((Counter(answer_tokens) & Counter(reference_tokens)).values())
    return 2 * num_common / (len(answer_tokens) + len(reference_tokens))


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
