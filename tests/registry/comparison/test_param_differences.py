"""Parameters in which two runs differ."""

from registry.comparison.param_differences import ABSENT, list_param_differences
from registry.records import parse_run_record
from tests.registry.factories import run_record


def record(**changes):
    return parse_run_record(run_record("run", **changes), "run")


def test_list_param_differences_names_each_path_with_both_values():
    a = record(params={"training": {"optim": {"lr": 0.1, "warmup": 5}}}, is_moe=True)
    b = record(params={"training": {"optim": {"lr": 0.2}}, "extra": None})
    differences = {d.path: (d.a, d.b) for d in list_param_differences(a, b)}
    assert differences == {
        "params.training.optim.lr": ("0.1", "0.2"),
        "params.training.optim.warmup": ("5", ABSENT),
        "params.extra": (ABSENT, "none"),
        "model.moe": (ABSENT, "none"),
        "model.moe.num_experts": ("8", ABSENT),
    }
    assert list_param_differences(a, a) == []
