"""The cause of a stage's failure, from what DVC and the stage printed."""

import pytest

from flows.runtime.stage_failure import describe_failure, disk_advice, killed_by

RUNNING = ("Running stage 'train@a':", "> flanmoe train a")
TORCHRUN = (
    "error: rank 0: timed out at step 4 waiting for rank 1",
    "  traceback : Signal 15 (SIGTERM) received by PID 11",
    "  traceback : Signal 9 (SIGKILL) received by PID 12",
    "error: train a: its processes ended with 1, after all restarts",
)


def dvc_error(code):
    """Return the line that DVC prints after a stage has ended with a code."""
    return (
        f"ERROR: failed to reproduce 'train@a': failed to run: flanmoe train a, exited with {code}"
    )


@pytest.mark.parametrize(
    ("lines", "code", "cause"),
    [
        (("error: no rows", "error: later", dvc_error(1)), 1, "no rows"),
        ((*RUNNING, dvc_error(1)), 1, dvc_error(1).removeprefix("ERROR: ")),
        (("ERROR: 'dvc.yaml' is invalid.",), 1, "'dvc.yaml' is invalid."),
        (("Traceback", "ValueError: x", dvc_error(1)), 1, "ValueError: x (exit code 1)"),
        (("Traceback", "ValueError: x"), 1, "ValueError: x"),
        ((), 1, "ended with code 1"),
    ],
)
def test_describe_failure_prefers_the_first_error_of_the_stage(lines, code, cause):
    assert describe_failure("train@a", lines, code) == cause


@pytest.mark.parametrize("code", [-9, 137])
def test_describe_failure_of_a_killed_stage_names_signal_and_remedy(code):
    lines = (*RUNNING, "step 3", dvc_error(code))
    assert describe_failure("train@a", lines, 1) == (
        "killed by SIGKILL, probably because memory ran out; free memory or raise "
        "models.training.gradient_accumulation_steps, then run the same command again to resume"
    )


def test_describe_failure_of_killed_dvc_names_the_signal():
    assert describe_failure("mix", ("text",), -9).startswith("killed by SIGKILL")
    assert "data_pipelines.memory_mb" in describe_failure("mix", (), -9)
    assert "models.evaluation.workers" in describe_failure("evaluate@a", (), -9)


def test_describe_failure_of_a_killed_rank_is_not_the_timeout_of_the_others():
    cause = describe_failure("train@a", (*RUNNING, *TORCHRUN, dvc_error(1)), 1)
    assert cause.startswith("a rank was killed by SIGKILL")


def test_describe_failure_of_a_full_disk_says_what_to_do():
    lines = ("error: data/mixture/x: No space left on device", dvc_error(1))
    assert describe_failure("mix", lines, 1).endswith(
        "No space left on device; free disk space, then run the same command again"
    )


@pytest.mark.parametrize(
    ("code", "text"),
    [(-7, "killed by SIGBUS, probably because the disk is full"), (139, "killed by SIGSEGV")],
)
def test_killed_by_names_other_signals(code, text):
    assert killed_by("mix", code).startswith(text)


@pytest.mark.parametrize("code", [1, 2, 75, 128, 255])
def test_killed_by_an_exit_code_is_empty(code):
    assert killed_by("mix", code) == ""


def test_disk_advice_is_for_full_and_read_only_disks_and_not_repeated():
    assert disk_advice("run.lock: Read-only file system").startswith("; make the folder writable")
    assert disk_advice("database or disk is full").startswith("; free disk space")
    assert disk_advice("no rows") == ""
    assert disk_advice("No space left on device: free disk space") == ""
