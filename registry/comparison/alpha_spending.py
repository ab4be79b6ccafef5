"""Level of each promotion test, so that the error is controlled over all tests of a champion.

Every challenger is a further chance of a false promotion: at 5 % a test, 1 of 20 nights promotes an
equal model. Test i against the same champion has the level alpha / (i (i + 1)); the levels sum to
alpha, so by Bonferroni's inequality the probability of any false promotion is at most alpha, for
any number of nights and candidates and any dependence between the tests (they share the champion's
answers and the items). A promotion begins a new budget, as a rejection earns alpha in
alpha-investing (Foster and Stine, JRSS B 70, 2008): the expected number of false promotions is at
most alpha times the number of champions. LORD++ (Ramdas et al., NeurIPS 2017) spends more, but its
guarantee needs independent tests.
"""

from __future__ import annotations


def spent_alpha(alpha: float, num_earlier_tests: int) -> float:
    """Return the level of the next test.

    Args:
        alpha: total probability of a false promotion against one champion.
        num_earlier_tests: tests of other challengers against this champion.
    """
    return alpha / ((num_earlier_tests + 1) * (num_earlier_tests + 2))
