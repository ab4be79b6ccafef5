"""Answers and scores: extraction, statistics, and the adapter's numbers by brute force."""

import math
import statistics as python_statistics

import pytest
import torch

from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.evaluation.answering import Answerer
from models.evaluation.extraction import final_answer, is_correct
from models.evaluation.statistics import macro, mean_and_error, normalised


@pytest.mark.parametrize(
    ("written", "answer", "correct"),
    [
        ("7", "7", True),
        ("7.", "7", True),
        ("7.0", "7", True),
        ("3 plus 4 is 7. The answer is 7.", "7", True),
        ("3 plus 4 is 8. The answer is 8.", "7", False),
        ("The answer is 12. No: the answer is 7.", "7", True),
        ("$1,200", "1200", True),
        ("1,200 apples", "1200", True),
        ("7 apples", "7", True),
        ("17", "7", False),
        ("-7", "7", False),
        ("-7", "-7", True),
        ("0.5", "0.5", True),
        ("", "7", False),
        ("apples", "7", False),
        ("tiger", "tiger", True),
        ("Tiger.", "tiger", True),
        ("a tiger", "tiger", False),
        ("tiger  horse", "tiger horse", True),
        ("the answer is: (B)", "(B)", True),
        ("", "tiger", False),
    ],
)
def test_extraction(written, answer, correct):
    assert is_correct(written, answer) is correct


def test_final_answer_keeps_what_has_no_mark():
    assert final_answer("  so it is   yes. ") == "so it is yes"


def test_mean_and_error_against_the_standard_library():
    values = [True] * 7 + [False] * 13
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(0.35)
    assert error == pytest.approx(python_statistics.stdev(map(int, values)) / math.sqrt(20))
    with pytest.raises(ValueError, match="no item"):
        mean_and_error([])


def test_macro_and_normalised():
    assert macro([0.2, 0.6], [0.03, 0.04]) == (pytest.approx(0.4), pytest.approx(0.025))
    assert normalised(0.25, 0.25) == 0
    assert normalised(1.0, 0.25) == 100
    assert normalised(0.1, 0.25) == pytest.approx(-20)


class Words:
    """A tokenizer of 20 words, with SentencePiece's methods."""

    def EncodeAsIds(self, text):
        return [3 + int(word[1:]) for word in text.split()]

    def DecodeIds(self, ids):
        return " ".join(f"w{i - 3}" for i in ids)

    def vocab_size(self):
        return 23


@pytest.fixture(scope="module", params=[None, 4])
def answerer(request):
    moe = request.param and MoEConfig(num_experts=4, capacity_factor_eval=None)
    config = ModelConfig(
        vocab_size=32, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2, moe=moe
    )
    return Answerer(T5(config).reset_parameters(0).eval(), Words(), max_input=12)


def test_score_is_the_sum_of_log_probabilities(answerer):
    source, target = "w1 w2 w3", "w4 w5"
    ids, expected = [7, 8, 1], 0.0
    with torch.no_grad():
        x = torch.tensor([[4, 5, 6, 1]])
        for i, token in enumerate(ids):
            prefix = torch.tensor([[0, *ids[:i]]])
            logits = answerer.model(x, torch.ones_like(x), prefix, torch.ones_like(prefix))
            expected += float(torch.log_softmax(logits[0, -1], -1)[token])
    ((found, _),) = answerer.score([(source, target)])
    assert found == pytest.approx(expected, abs=1e-4)


def test_neighbours_order_and_padding_change_nothing(answerer):
    pairs = [("w1 w2 w3 w4 w5 w6", "w7 w8 w9"), ("w1", "w2"), ("w1", "w3 w4"), ("w9 w9", "w1")]
    alone = [answerer.score([pair])[0] for pair in pairs]
    together = answerer.score(pairs)
    backwards = answerer.score(pairs[::-1])[::-1]
    for a, b, c in zip(alone, together, backwards, strict=True):
        assert a[0] == pytest.approx(b[0], abs=1e-5) == pytest.approx(c[0], abs=1e-5)
        assert a[1] == b[1] == c[1]
    sources = [source for source, _ in pairs]
    assert answerer.generate(sources, 6) == [answerer.generate([s], 6)[0] for s in sources]


def test_greedy_flag_and_generation_agree(answerer):
    text = answerer.generate(["w1 w2"], 5)[0]
    if 0 < len(text.split()) < 5:
        assert answerer.score([("w1 w2", text)])[0][1] is True
    assert answerer.score([("w1 w2", "w19 w18 w17")])[0][1] is False


def test_a_long_input_keeps_its_end(answerer):
    text = " ".join(f"w{i % 20}" for i in range(40))
    ids = answerer.tokens(text)
    assert len(ids) == 12
    assert ids[-1] == 1
    assert ids[:-1] == [3 + i % 20 for i in range(29, 40)]
