"""Why a stage failed: its own error line, the signal that killed it, and what to do about it."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

ERROR = "error: "
_DVC_ERROR = "ERROR: "
_DVC_LINES = (_DVC_ERROR, "Running stage ", "> ", "Updating lock file", "To track the changes")
_STAGE_CODE = re.compile(r"exited with (-?\d+)$")
_TORCHRUN_SIGNAL = re.compile(r"Signal (\d+) \(SIG\w+\) received by PID")
_FULL_DISK = re.compile(r"no space left on device|disk quota exceeded|disk is full", re.IGNORECASE)
_READ_ONLY = re.compile(r"read-only file system", re.IGNORECASE)
_SHELL_SIGNAL_BASE = 128

_MEMORY_REMEDIES = {
    "train": "raise models.training.gradient_accumulation_steps",
    "evaluate": "lower models.evaluation.workers or max_batch_tokens",
}
_DATA_REMEDY = "lower data_pipelines.workers or data_pipelines.memory_mb"


def stage_exit_code(lines: Sequence[str]) -> int | None:
    """Return the exit code of the stage's command, from DVC's output; None if it did not fail."""
    for line in lines:
        match = _STAGE_CODE.search(line) if line.startswith(_DVC_ERROR) else None
        if match is not None:
            return int(match[1])
    return None


def describe_failure(stage: str, lines: Sequence[str], code: int) -> str:
    """Return the cause of a failure and what to do, in one line.

    The stage's first error line is the cause, since later errors are consequences of the first.
    Without one the cause is the signal that killed the stage, else its last line, else DVC's error.

    Args:
        stage: name in dvc.yaml.
        lines: output of DVC and the stage.
        code: exit code of DVC.
    """
    stage_code = stage_exit_code(lines)
    own_lines = [line for line in lines if not line.startswith(_DVC_LINES)]
    errors = [line.removeprefix(ERROR) for line in own_lines if line.startswith(ERROR)]
    dvc_errors = [line.removeprefix(_DVC_ERROR) for line in lines if line.startswith(_DVC_ERROR)]
    killed = killed_by(stage, code if stage_code is None else stage_code)
    rank_signal = _signal_of_rank(own_lines)
    if rank_signal is not None:
        # The other ranks and torchrun itself fail only because of the killed one.
        cause = f"a rank was {killed_by(stage, -rank_signal)}"
    elif killed and not errors:
        cause = killed
    elif errors:
        cause = errors[0]
    elif stage_code is not None and own_lines:
        cause = f"{own_lines[-1]} (exit code {stage_code})"
    elif dvc_errors:
        cause = dvc_errors[0]
    else:
        cause = own_lines[-1] if own_lines else f"ended with code {code}"
    return cause + disk_advice(cause)


def killed_by(stage: str, code: int) -> str:
    """Return `killed by SIGNAL, …` with what to do; an empty string if no signal ended the process.

    Args:
        stage: name in dvc.yaml, whose settings the advice names.
        code: exit code; a signal is negative, or 128 higher where a shell reports it.
    """
    number = -code if code < 0 else code - _SHELL_SIGNAL_BASE
    try:
        name = signal.Signals(number).name
    except ValueError:
        return ""
    if number == signal.SIGKILL:
        remedy = _MEMORY_REMEDIES.get(stage.partition("@")[0], _DATA_REMEDY)
        return (
            f"killed by {name}, probably because memory ran out; free memory or {remedy}, then "
            "run the same command again to resume"
        )
    if number == signal.SIGBUS:
        return f"killed by {name}, probably because the disk is full"
    return f"killed by {name}; run the same command again to resume"


def _signal_of_rank(lines: Sequence[str]) -> int | None:
    """Return the first signal in torchrun's summary, except SIGTERM, which torchrun sends."""
    matches = (match for line in lines if (match := _TORCHRUN_SIGNAL.search(line)))
    numbers = (int(match[1]) for match in matches)
    return next((number for number in numbers if number != signal.SIGTERM), None)


def disk_advice(cause: str) -> str:
    """Return what to do about a full or read-only disk, to append to a cause; else nothing."""
    if _READ_ONLY.search(cause):
        return "; make the folder writable, or use a copy of the project that is"
    if not _FULL_DISK.search(cause) or "free disk space" in cause:
        return ""
    return "; free disk space, then run the same command again"
