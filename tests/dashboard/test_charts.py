"""Chart specifications."""

import json

from dashboard.charts import accuracy_against_compute
from dashboard.queries import open_registry, versions_frame


def test_accuracy_against_compute_marks_the_champion(project):
    frame = versions_frame(open_registry().versions())
    spec = json.dumps(accuracy_against_compute(frame).to_dict())
    assert "datum.champion" in spec
    assert "gflops_per_token" in spec


def test_accuracy_against_compute_spans_at_least_a_factor_of_2(project):
    frame = versions_frame(open_registry().versions())
    spec = accuracy_against_compute(frame).to_dict()
    low, high = spec["layer"][1]["encoding"]["x"]["scale"]["domain"]
    assert high / low >= 2
