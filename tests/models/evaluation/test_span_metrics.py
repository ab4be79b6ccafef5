"""Exact match and F1 of spans, against SQuAD's script and lm-evaluation-harness's TyDiQA task."""

import json
import os
import random
import re
import string
from collections import Counter
from pathlib import Path

import pytest
from lm_eval.tasks.tydiqa import utils as harness

from models.evaluation.metrics import score_answer
from models.evaluation.span_metrics import normalise_span, span_f1
from tests.models.evaluation.factories import eval_prompt

LANGUAGES = ("ar", "bn", "en", "fi", "id", "ko", "ru", "sw", "te")
TEXTS = (
    "The Quick, brown  fox!", "২০২৪।", "в 1973 году", "الكتاب الكبير", "«Война и мир»", "a 1,200 %",
    "May 3, 2024", "1914–1918", "2024 to 2027", "an answer; the answer", "3.5 miljoonaa",
    "『羅生門』",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_span_metrics_equal_the_harness(language):
    for answer in TEXTS:
        assert normalise_span(answer, language) == harness.normalize_answer(answer, language)
        for reference in TEXTS:
            f1 = harness.f1_score(answer, reference, language)
            assert span_f1(answer, reference, language) == pytest.approx(f1)


def squad_normalise(text):
    """Normalise as SQuAD's script describes it: lower case, punctuation, articles, spaces."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return [word for word in text.split() if not re.fullmatch("a|an|the", word)]


def test_span_metrics_on_english_equal_squad():
    generator = random.Random(0)
    words = [
        "the",
        "a",
        "an",
        "cat",
        "sat,",
        "THE",
        "mat.",
        "3.5",
        "-7",
        "i'm",
        "U.S.",
        "(the)",
        "ban",
    ]
    for _ in range(300):
        answer, reference = (
            " ".join(generator.choices(words, k=generator.randrange(1, 6))) for _ in range(2)
        )
        tokens, expected = squad_normalise(answer), squad_normalise(reference)
        assert normalise_span(answer, "en").split() == tokens
        num_common = sum((Counter(tokens) & Counter(expected)).values())
        f1 = 2 * num_common / (len(tokens) + len(expected)) if num_common else 0
        if tokens and expected:
            assert span_f1(answer, reference, "en") == pytest.approx(f1)


def test_span_f1_of_two_empty_spans_is_1():
    assert span_f1("The", "a") == 1
    assert span_f1("The", "cat") == 0


@pytest.mark.parametrize(
    ("answer", "reference", "language", "match", "f1"),
    [
        ("May 3, 2024", "2024", "en", 0, 0.5),
        ("2024 to 2027", "2024", "en", 0, 0.5),
        ("২০২৪", "২০২৪", "bn", 1, 1),
        ("২০২৪।", "২০২৪", "bn", 1, 1),
        ("2024", "২০২৪", "bn", 0, 0),
        ("в 1973 году", "1973", "ru", 0, 0.5),
        ("The answer is Paris.", "Paris", "en", 0, 0.5),
        ("The Beatles", "Beatles", "en", 1, 1),
        ("The Beatles", "Beatles", "fi", 0, 2 / 3),
    ],
)
def test_exact_match_compares_the_text_itself(answer, reference, language, match, f1):
    prompt = eval_prompt(reference, language=language)
    result = score_answer("exact_match", prompt, answer)
    assert result.score == match
    assert result.other_metrics["f1"] == pytest.approx(f1)


@pytest.mark.skipif("FLANMOE_FLAN_FILES" not in os.environ, reason="needs the published files")
def test_span_metrics_equal_the_harness_on_every_published_reference():
    folder = Path(os.environ["FLANMOE_FLAN_FILES"]) / "eval/tydiqa_goldp"
    num_compared = 0
    for path in folder.glob("*/*_dev.json"):
        language = next(c for c in LANGUAGES if path.stem.startswith(NAMES[c]))
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for entry in (qa for p in article["paragraphs"] for qa in p["qas"]):
                for text in {answer["text"] for answer in entry["answers"]}:
                    expected = harness.normalize_answer(text, language)
                    assert normalise_span(text, language) == expected
                    num_compared += 1
    assert num_compared >= 3097


NAMES = {
    "ar": "arabic", "bn": "bengali", "en": "english", "fi": "finnish", "id": "indonesian",
    "ko": "korean", "ru": "russian", "sw": "swahili", "te": "telugu",
}  # fmt: skip
