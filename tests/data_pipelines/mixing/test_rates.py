"""Target number of examples per task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.mixing.rates import compute_quotas, target_shares


def test_compute_quotas_with_published_shares_and_caps():
    counts = {"niv2": {"small": 100, "large": 900_000}, "cot": {"c": 10_000}}
    quotas = compute_quotas(counts, {"niv2": 24.2, "cot": 1.8}, {"niv2": 5000}, 2600)
    # Shares of 24.2 : 1.8; within NIV2, rates of 100 : 5,000 (the cap).
    assert sum(quotas["niv2"].values()) == pytest.approx(2420, abs=1)
    assert quotas["cot"]["c"] == pytest.approx(180, abs=1)
    assert quotas["niv2"]["small"] == round(2420 * 100 / 5100)


def test_compute_quotas_with_a_higher_temperature_upweights_small_tasks():
    counts = {"cot": {"small": 100, "large": 900}}
    quotas = compute_quotas(counts, {"cot": 1}, {}, 500, temperature=2)["cot"]
    assert quotas["small"] == 125  # more than the 100 available: the report shows the shortfall
    assert quotas["large"] == round(500 * 30 / 40)
    assert compute_quotas(counts, {"cot": 1}, {}, 500)["cot"] == {"small": 50, "large": 450}


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 1000), min_size=1, max_size=8),
    st.integers(1, 5000),
)
def test_compute_quotas_sum_to_the_target_and_are_rounded_by_less_than_1(counts, num_examples):
    quotas = compute_quotas({"niv2": counts}, {"niv2": 1.0}, {"niv2": 100}, num_examples)["niv2"]
    assert set(quotas) == set(counts)
    assert sum(quotas.values()) == num_examples
    capped = {task: min(n, 100) for task, n in counts.items()}
    for task, number in quotas.items():
        assert abs(number - num_examples * capped[task] / sum(capped.values())) < 1


def test_target_shares_are_normalised_over_the_present_mixtures():
    assert target_shares(["a", "b"], {"a": 1, "b": 3, "c": 4}) == {"a": 0.25, "b": 0.75}
    assert target_shares(["c"], {"a": 1}) == {"c": 0.0}
