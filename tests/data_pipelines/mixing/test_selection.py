"""How often a row of a task is in the mixture, against a task read in rounds as by seqio."""

from collections import Counter
from itertools import cycle, islice

from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.mixing.selection import count_copies


@given(st.integers(0, 300), st.integers(1, 60))
def test_count_copies_is_that_of_a_repeated_data_set(quota, num_available):
    expected = Counter(islice(cycle(range(num_available)), quota))
    for rank in range(num_available):
        assert count_copies(quota, num_available, rank, quota + 1) == expected[rank]


@given(st.integers(0, 300), st.integers(1, 60), st.integers(1, 5))
def test_count_copies_is_limited(quota, num_available, max_copies):
    copies = [count_copies(quota, num_available, r, max_copies) for r in range(num_available)]
    assert max(copies) <= max_copies
    assert sum(copies) == min(quota, num_available * max_copies)
