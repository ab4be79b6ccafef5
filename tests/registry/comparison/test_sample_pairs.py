"""Answers of two versions side by side."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from registry.comparison.sample_pairs import PairOfAnswers, SampleFilter, pair_samples
from registry.errors import InvalidQuery


def write(path, scores, **columns):
    """Write samples of the tasks s/a and s/b, in turn; `columns` has a value for each item."""
    rows = [
        {
            "task": f"s/{'ab'[i % 2]}", "id": str(i), "score": score, "prompt": f"question {i}",
            "expected": "yes", "answer": f"{path.stem} {i}", "generated_text": "",
            "truncated": False, "contaminated": False, "unfinished": False, "unanswered": False,
            **{name: values[i] for name, values in columns.items()},
        }
        for i, score in enumerate(scores)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture
def files(tmp_path):
    """Write the samples of A and B; B has them in the opposite order."""
    a = write(tmp_path / "a.parquet", [1, 1, 0, 0, 0.7],
              contaminated=[False, True, False, False, None])  # fmt: skip
    b = write(
        tmp_path / "b.parquet", [1, 0, 1, 0, 0.2], truncated=[True, False, False, False, False]
    )
    pq.write_table(pq.read_table(b).take([4, 3, 2, 1, 0]), b)
    return a, b


def ids(files, **criteria):
    return [pair.id for pair in pair_samples(*files, SampleFilter(**criteria)).pairs]


def test_pair_samples_joins_items_by_id(files):
    page = pair_samples(*files, SampleFilter())
    assert page.counts == {
        "only A right": 2, "only B right": 1, "both right": 1, "both wrong": 1,
    }  # fmt: skip
    first = page.pairs[0]
    assert (first.prompt, first.a.answer, first.b.answer) == ("question 0", "a 0", "b 0")
    assert (first.truncated, first.contaminated) == (True, False)
    assert page.tasks == ("s/a", "s/b")


def test_pair_samples_filters(files):
    assert ids(files, right=PairOfAnswers.ONLY_A) == ["1", "4"]
    assert ids(files, right=PairOfAnswers.ONLY_A, task="s/a") == ["4"]
    assert ids(files, contaminated=True) == ["1"]
    assert ids(files, contaminated=False) == ["0", "2", "3", "4"]
    assert ids(files, truncated=True) == ["0"]
    assert ids(files, limit=2, offset=3) == ["3", "4"]
    assert pair_samples(*files, SampleFilter(limit=2)).num_matches == 5


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"task": "s/c"}, "task 's/c'; expected one of s/a, s/b"),
        ({"limit": 201}, "1 to 200"),
    ],
)
def test_pair_samples_rejects_filters_that_match_nothing(files, criteria, message):
    with pytest.raises(InvalidQuery, match=message):
        pair_samples(*files, SampleFilter(**criteria))


def test_pair_samples_of_release_0_1_0_have_no_texts(files, tmp_path):
    old = tmp_path / "old.parquet"
    pq.write_table(pq.read_table(files[0]).select(["task", "id", "score"]), old)
    (pair, *_) = pair_samples(old, files[1], SampleFilter()).pairs
    assert (pair.prompt, pair.a.answer, pair.contaminated) == ("", "", None)
