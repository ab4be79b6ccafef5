"""Values that EvaluationParams rejects."""

import pytest

from models.evaluation.params import EvaluationParams


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"suites": ()}, "suites: \\[\\] is empty"),
        ({"scheduler": "tcp://x:1"}, "scheduler: 'tcp://x:1' requires engine: dask"),
    ],
)
def test_params_with_an_invalid_value_name_the_field(fields, message):
    with pytest.raises(ValueError, match=message):
        EvaluationParams(**fields)
