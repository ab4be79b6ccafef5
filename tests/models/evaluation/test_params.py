"""Values that EvaluationParams rejects."""

import pytest

from models.evaluation.params import EvaluationParams


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"limit": 0}, "limit must be at least 1, not 0"),
        ({"workers": -1}, "workers must be at least 1, not -1"),
        ({"suites": ()}, "must name at least one suite"),
        ({"suites": ("sample", "sample")}, "each once"),
        ({"scheduler": "tcp://x:1"}, "scheduler requires engine: dask"),
    ],
)
def test_params_with_an_invalid_value_name_the_field(fields, message):
    with pytest.raises(ValueError, match=message):
        EvaluationParams(**fields)
