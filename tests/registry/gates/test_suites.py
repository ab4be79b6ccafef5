"""Gate of the suites: a shown loss beyond the allowed one refuses a version."""

import math

import numpy as np
import pytest
from scipy.stats import t

from registry.gates.suites import check_suites
from registry.policy import ComparisonRules
from tests.registry.gates.factories import evidence, right

RULES = ComparisonRules(max_suite_loss=0.02, alpha=0.05)


def check(own, other, rules=RULES):
    return check_suites(evidence(2, own), evidence(1, other), rules)


def p_of_loss(differences, allowed):
    """Return the one-sided p value of Student's test, the reference for items without clusters."""
    mean, error = np.mean(differences), np.std(differences, ddof=1) / math.sqrt(len(differences))
    return float(t.cdf((mean + allowed) / error, len(differences) - 1))


@pytest.mark.parametrize(
    ("num_right", "passed"), [(240, True), (232, True), (226, True), (222, False), (200, False)]
)
def test_shown_loss_fails_and_a_loss_within_noise_passes(num_right, passed):
    """The champion is right on 240 of 400 items, nested in those of the candidate or not."""
    gate = check({"s/t": right(num_right, 400)}, {"s/t": right(240, 400)})
    differences = np.array(right(num_right, 400)) - np.array(right(240, 400))
    if num_right < 240:
        assert (p_of_loss(differences, 0.02) >= 0.05) == passed
    assert gate.passed is passed
    assert gate.value == pytest.approx((240 - num_right) / 400)
    assert gate.limit == 0.02


def test_detail_has_the_interval_and_what_would_be_detected():
    gate = check({"s/t": right(222, 400)}, {"s/t": right(240, 400)})
    assert gate.detail.startswith("s, the worst of 1 suites: -4.5 points against version 1 (95 %")
    assert "400 items only: one seed" in gate.detail
    assert "points is shown in 80 % of cases" in gate.detail


def test_p_values_are_corrected_for_the_number_of_suites():
    loss, equal = {"s0/t": right(223, 400)}, {"s0/t": right(240, 400)}
    others = {f"s{i}/t": right(240, 400) for i in range(1, 20)}
    assert not check(loss, equal).passed
    gate = check({**loss, **others}, {**equal, **others})
    assert gate.passed
    assert gate.detail.startswith("s0, the worst of 20 suites")


def test_small_suite_is_not_hidden_by_a_gain_in_others():
    own = {"large/t": right(380, 400), "small/t": right(100, 400)}
    other = {"large/t": right(200, 400), "small/t": right(160, 400)}
    gate = check(own, other)
    assert not gate.passed
    assert gate.detail.startswith("small")


def test_suites_have_limits_of_their_own():
    scores = ({"s/t": right(222, 400)}, {"s/t": right(240, 400)})
    assert check(*scores, ComparisonRules(max_suite_loss_by_suite={"s": 0.05})).passed
    assert not check(*scores, ComparisonRules(max_suite_loss_by_suite={"other": 0.05})).passed


def test_gate_refuses_at_most_alpha_of_versions_that_lose_what_is_allowed():
    """200 candidates lose exactly the allowed share in each of 4 suites."""
    generator = np.random.default_rng(0)
    num_refused = 0
    for _ in range(200):
        own, other = {}, {}
        for suite in range(4):
            base = generator.random(300)
            other[f"s{suite}/t"] = (base < 0.6).astype(float).tolist()
            flips = generator.random(300)
            scores = np.array(other[f"s{suite}/t"])
            # P(right -> wrong) 0.10 and P(wrong -> right) 0.10 balance to a loss of 2 points.
            scores = np.where((scores == 1) & (flips < 0.10), 0.0, scores)
            scores = np.where((np.array(other[f"s{suite}/t"]) == 0) & (flips < 0.10), 1.0, scores)
            own[f"s{suite}/t"] = scores.tolist()
        num_refused += not check(own, other).passed
    # Upper end of the exact 95 % interval of 200 draws at 5 %.
    assert num_refused <= 17
