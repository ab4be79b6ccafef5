"""Metrics, against independent implementations and values computed by hand."""

import pytest

from models.evaluation.metrics import score_answer
from tests.models.evaluation.factories import eval_prompt


def test_exact_match_with_several_references_takes_the_best():
    prompt = eval_prompt("Paris", ["Paris", "the city of Paris", "Lutetia"])
    assert score_answer("exact_match", prompt, "The city of Paris.").score == 1
    assert score_answer("exact_match", prompt, "paris").score == 1
    partial_match = score_answer("exact_match", prompt, "city in France")
    assert partial_match.score == 0
    assert partial_match.other_metrics["f1"] == pytest.approx(1 / 3)
    assert score_answer("exact_match", prompt, "").has_answer is False


def longest_common_subsequence(a, b):
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_common_subsequence(a[1:], b[1:])
    return max(longest_common_subsequence(a[1:], b), longest_common_subsequence(a, b[1:]))


@pytest.mark.parametrize(
    ("answer", "reference"),
    [("the cat sat", "the dog sat"), ("one two", "two one"), ("x", "y"), ("a b c d", "b d e")],
)
def test_rouge_l_equals_f_measure_of_longest_common_subsequence(answer, reference):
    a, b = answer.split(), reference.split()
    f_measure = 2 * longest_common_subsequence(a, b) / (len(a) + len(b))
    result = score_answer("rouge_l", eval_prompt(reference), answer)
    assert result.score == pytest.approx(f_measure)
    assert result.other_metrics["exact_match"] == 0


def test_rouge_l_with_several_references_takes_the_best_and_stems():
    result = score_answer("rouge_l", eval_prompt("cats", ["dogs", "cats running"]), "cat runs")
    assert result.score == 1  # stems: cat, run
    assert score_answer("rouge_l", eval_prompt("7"), "7.").other_metrics["exact_match"] == 1


def test_accuracy_scores_options_and_free_text():
    choice = eval_prompt("B", options=("A", "B"))
    assert score_answer("accuracy", choice, "The answer is (B).").score == 1
    assert score_answer("accuracy", eval_prompt("1200"), "so 1,200 in all").score == 1
    result = score_answer("accuracy", eval_prompt("7"), "no idea")
    assert (result.score, result.has_answer, result.answer) == (0, False, "")


def test_accuracy_of_several_answers_is_unanswered_and_ambiguous():
    result = score_answer("accuracy", eval_prompt("7"), "The answer is 7 or 8.")
    assert (result.score, result.has_answer, result.is_ambiguous) == (0, False, True)
    result = score_answer("accuracy", eval_prompt("A", options=("A", "B")), "(A) or (B)")
    assert (result.score, result.has_answer, result.is_ambiguous) == (0, False, True)


def test_accuracy_reads_numbers_in_the_notation_of_the_language():
    text = "Die Antwort ist 1.500."
    assert score_answer("accuracy", eval_prompt("1500", language="de"), text).score == 1
    assert score_answer("accuracy", eval_prompt("1500"), text).score == 0


def test_accuracy_compares_big_integers_exactly():
    prompt = eval_prompt(str(2**53))
    assert score_answer("accuracy", prompt, f"The answer is {2**53}.").score == 1
    assert score_answer("accuracy", prompt, f"The answer is {2**53 + 1}.").score == 0


def test_rouge_l_of_a_reference_without_tokens_is_equality():
    assert score_answer("rouge_l", eval_prompt("?!"), "?!").score == 1
    assert score_answer("rouge_l", eval_prompt("?!"), "!").score == 0
