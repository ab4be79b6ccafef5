"""Metrics against other implementations and hand-made values."""

import string

import pytest

from models.evaluation.metrics import score, squad_form, token_f1
from models.evaluation.prompts import EvalPrompt


def question(answer, references=(), options=None):
    return EvalPrompt(
        id="x", prompt="p", answer=answer, references=tuple(references) or (answer,),
        options=options, ranked=False, shown=0, dropped=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected", "f1"),
    [("a b c", "a b c", 1), ("a b", "b c", 0.5), ("a", "b", 0), ("", "", 1), ("a", "", 0),
     ("x x y", "x y y", 2 / 3)],
)  # fmt: skip
def test_token_f1(given, expected, f1):
    assert token_f1(given.split(), expected.split()) == pytest.approx(f1)


def test_squad_form():
    assert squad_form("The Quick, brown  fox!") == "quick brown fox"
    assert not set(squad_form(string.punctuation))


def test_exact_match_takes_the_best_of_several_references():
    asked = question("Paris", ["Paris", "the city of Paris", "Lutetia"])
    assert score("exact_match", asked, "The city of Paris.").score == 1
    assert score("exact_match", asked, "paris").score == 1
    partly = score("exact_match", asked, "city in France")
    assert partly.score == 0
    assert partly.others["f1"] == pytest.approx(1 / 3)
    assert score("exact_match", asked, "").found is False


def longest_common(a, b):
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_common(a[1:], b[1:])
    return max(longest_common(a[1:], b), longest_common(a, b[1:]))


@pytest.mark.parametrize(
    ("given", "reference"),
    [("the cat sat", "the dog sat"), ("one two", "two one"), ("x", "y"), ("a b c d", "b d e")],
)
def test_rouge_l_is_the_f_measure_of_the_longest_common_subsequence(given, reference):
    a, b = given.split(), reference.split()
    common = longest_common(a, b)
    expected = 2 * common / (len(a) + len(b))
    found = score("rouge_l", question(reference), given)
    assert found.score == pytest.approx(expected)
    assert found.others["exact_match"] == 0


def test_rouge_l_takes_the_best_reference_and_stems():
    found = score("rouge_l", question("cats", ["dogs", "cats running"]), "cat runs")
    assert found.score == 1  # stemming: cat, run
    assert score("rouge_l", question("7"), "7.").others["exact_match"] == 1


def test_accuracy_of_options_and_of_texts():
    assert score("accuracy", question("B", options=("A", "B")), "The answer is (B).").score == 1
    assert score("accuracy", question("1200"), "so 1,200 in all").score == 1
    none = score("accuracy", question("7"), "no idea")
    assert (none.score, none.found, none.answer) == (0, False, "")
