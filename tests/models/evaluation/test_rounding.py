"""What the gate's largest rounding error allows: no change of an answer."""

import torch

from models.evaluation.predictor import Seq2SeqPredictor
from registry.comparison.precision import MAX_ROUNDING_ERROR, ROUNDING_ERRORS

PAIRS = [
    (f"Question: {i} ducks and {i + 3} eggs?", answer)
    for i in range(60)
    for answer in ("yes", "no", "water", "stone")
]


def log_probs(weights, dtype):
    """Return the log-probability of each answer to each prompt, float64 [60, 4]."""
    predictor = Seq2SeqPredictor.load(weights, weights)
    predictor.model.to(dtype)
    scores = predictor.score(PAIRS)
    return torch.tensor([score for score, _ in scores], dtype=torch.float64).view(-1, 4)


def test_rounding_errors_are_those_of_torch():
    for name in ("float64", "float32", "float16", "bfloat16"):
        assert ROUNDING_ERRORS[name] == torch.finfo(getattr(torch, name)).eps / 2


def test_accepted_precisions_have_the_answers_of_float64_and_rejected_ones_do_not(imported_weights):
    exact = log_probs(imported_weights, torch.float64)
    differences = {}
    for name in ("float32", "bfloat16"):
        rounded = log_probs(imported_weights, getattr(torch, name))
        differences[name] = float((rounded - exact).abs().max())
        has_same_answers = bool((rounded.argmax(1) == exact.argmax(1)).all())
        assert has_same_answers == (ROUNDING_ERRORS[name] <= MAX_ROUNDING_ERROR)
    assert differences["float32"] < 1e-3
    assert differences["bfloat16"] > 100 * differences["float32"]
