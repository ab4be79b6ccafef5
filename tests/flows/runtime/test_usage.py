"""The usage log, its metrics and the quota of GPU hours."""

import json
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.config.load import parse_params, read_params
from flows.errors import QuotaExceeded
from flows.runtime import usage
from flows.runtime.metrics import render_metrics
from flows.runtime.usage import (
    WEEK_S,
    UsageEntry,
    count_gpus,
    read_usage,
    record_usage,
    training_time_limit,
)
from tests.factories import ROOT, invoke


def entry(name="train@a", outcome="ran", *, age_s=0.0, **changes):
    """Return a line of the log that ended `age_s` seconds ago."""
    return UsageEntry(
        kind=changes.pop("kind", "stage"), time=time.time() - age_s, workspace="/p",
        flow_run=changes.pop("flow_run", "run-1"), name=name, outcome=outcome, **changes,
    )  # fmt: skip


def params(**flows):
    """Return the project's parameters with four GPUs a node on two nodes."""
    data = read_params(ROOT / "params.yaml")
    fleet = {"launcher": "slurm", "nodes": 2, "gpus": 4}
    data["flows"].update(fleet=fleet, **flows)
    return parse_params(data, "params.yaml", ROOT)


def test_log_is_read_back_and_other_lines_are_skipped(tmp_path):
    entries = [entry(), entry("mix", "cached", seconds=0.5), entry(kind="promotion")]
    (tmp_path / ".flanmoe").mkdir()
    for item in entries:
        record_usage(tmp_path, item)
    with (tmp_path / usage.FILE).open("a") as file:
        file.write('{"kind": "other"}\n')
    record_usage(tmp_path, entries[0])
    assert read_usage(tmp_path) == [*entries, entries[0]]
    lines = (tmp_path / usage.FILE).read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert read_usage(tmp_path / "nothing") == []


def test_metrics_are_counters_that_prometheus_parses():
    text = render_metrics(
        [
            entry("mix", "ran", seconds=2.0),
            entry("mix", "failed", seconds=1.0),
            entry("mix", "ran", seconds=1.0, attempt=2),
            entry('train@"a"\n', gpu_hours=1.5, mfu=0.3),
            entry('train@"a"\n', gpu_hours=2.0, mfu=0.4),
            entry("flan", "refused", kind="promotion"),
            entry("flan", "refused", kind="promotion"),
        ]
    )
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    mix, train = ("stage", "mix"), ("stage", 'train@"a"\n')
    assert samples == {
        ("flanmoe_stages_total", (("outcome", "ran"), mix)): 2,
        ("flanmoe_stages_total", (("outcome", "failed"), mix)): 1,
        ("flanmoe_stages_total", (("outcome", "ran"), train)): 2,
        ("flanmoe_stage_seconds_total", (mix,)): 4,
        ("flanmoe_stage_seconds_total", (train,)): 0,
        ("flanmoe_stage_retries_total", (mix,)): 1,
        ("flanmoe_stage_failures_total", (mix,)): 1,
        ("flanmoe_promotions_total", (("model", "flan"), ("outcome", "refused"))): 2,
        ("flanmoe_gpu_hours_total", (train,)): 3.5,
        ("flanmoe_training_mfu", (train,)): 0.4,
    }


def test_metrics_command_prints_and_writes_the_same(tmp_path):
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / ".flanmoe").mkdir()
    record_usage(tmp_path, entry(seconds=3))
    printed = invoke("metrics", cwd=tmp_path)
    assert 'flanmoe_stage_seconds_total{stage="train@a"} 3\n' in printed.stdout
    invoke("metrics", "--to", tmp_path / "out" / "flanmoe.prom", cwd=tmp_path)
    assert (tmp_path / "out" / "flanmoe.prom").read_text() == printed.stdout


def test_quota_limits_the_time_of_a_training_by_run_and_week(tmp_path):
    (tmp_path / ".flanmoe").mkdir()
    limited = params(max_gpu_hours_per_run=20.0, max_gpu_hours_per_week=100.0)
    assert count_gpus(limited) == 8

    def limit(flow_run="run-1", stage="train@a", quotas=limited):
        return training_time_limit(tmp_path, quotas, stage, flow_run)

    assert limit() == pytest.approx(20 / 8 * 3600)
    record_usage(tmp_path, entry(gpu_hours=12.0))
    assert limit() == pytest.approx(8 / 8 * 3600)
    assert limit("run-2") == pytest.approx(20 / 8 * 3600)
    record_usage(tmp_path, entry(gpu_hours=500.0, flow_run="old", age_s=WEEK_S + 60))
    assert limit() == pytest.approx(8 / 8 * 3600)
    record_usage(tmp_path, entry(gpu_hours=80.0, flow_run="other", age_s=WEEK_S - 60))
    assert limit("run-2") == pytest.approx(8 / 8 * 3600)
    record_usage(tmp_path, entry(gpu_hours=8.0, flow_run="other"))
    with pytest.raises(QuotaExceeded, match="train@a: the quota of GPU hours is used up"):
        limit("run-2")
    assert limit(stage="mix") is None
    assert limit(quotas=params()) is None
