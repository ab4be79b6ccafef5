"""Time per item: passes over the same items, timed while nothing else runs.

A time is recorded only if other processes leave the machine alone in every pass. Their load is the
CPU time that the machine spent, less that of this process, divided by the time that passed.
"""

from __future__ import annotations

import dataclasses
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.evaluation.batches import Request, make_batches, run_batch
from models.evaluation.device import model_device, model_precision, processor_name
from models.evaluation.params import EvaluationParams
from models.evaluation.predictor import Seq2SeqPredictor

NUM_ITEMS = 32
"""Items of a pass; fewer if the evaluation has fewer."""
NUM_PASSES = 5
"""Timed passes, after one that is not timed."""
MIN_PASS_SECONDS = 0.5
"""A shorter pass repeats its items: the system counts CPU time in steps of about 0.01 s."""
MAX_OTHER_LOAD = 0.25
"""CPUs that other processes may use on average: the scheduler and the display of a run."""

_CPU_TIMES = Path("/proc/stat")
_BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)
"""user, nice, system, irq, softirq and steal; not idle and iowait."""


@dataclass(frozen=True, kw_only=True)
class SpeedRecord:
    """The content of speed.json."""

    weights_sha256: str
    """Weights that were measured; a record of other weights is ignored."""
    seconds_per_item: float | None
    """Median over the passes; None if it was not measured."""
    fastest: float | None
    """Seconds per item of the fastest pass."""
    slowest: float | None
    reason: str
    """Why it was not measured; empty if it was."""
    num_items: int
    num_passes: int
    other_load: float | None
    """CPUs that other processes used, in the worst pass; None if unknown."""
    device: str
    processor: str
    precision: str
    threads: int
    batch_size: int
    torch_version: str

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the JSON file."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class _Pass:
    seconds: float
    """Of the pass; divided by its repetitions."""
    other_load: float | None


def measure_speed(
    predictor: Seq2SeqPredictor,
    requests: Sequence[Request],
    params: EvaluationParams,
    weights_sha256: str,
) -> SpeedRecord:
    """Time passes over a fixed selection of requests in this process.

    Args:
        predictor: the model, whatever engine and workers evaluated it.
        requests: a request per item, in the order of suites, tasks and items.
        params: batch size and threads.
        weights_sha256: hash of the model's weights, for the record.

    Returns:
        The median time per item, or the reason why it was not measured.
    """
    selected = select_evenly(requests, NUM_ITEMS)
    batches = make_batches(
        selected,
        lambda prompt: len(predictor.encode(prompt)),
        batch_size=params.batch_size,
        max_batch_tokens=params.max_batch_tokens,
    )

    def run_all() -> None:
        for batch in batches:
            run_batch(batch, predictor)

    first = _time_pass(run_all, 1)
    repetitions = math.ceil(MIN_PASS_SECONDS / max(first.seconds, 1e-6))
    passes: list[_Pass] = []
    reason = ""
    while len(passes) < NUM_PASSES and not reason:
        passes.append(_time_pass(run_all, repetitions))
        reason = _disturbance(passes[-1])
    per_item = [] if reason else [timed_pass.seconds / len(selected) for timed_pass in passes]
    loads = [timed_pass.other_load for timed_pass in passes if timed_pass.other_load is not None]
    device = model_device(predictor.model)
    return SpeedRecord(
        weights_sha256=weights_sha256,
        seconds_per_item=round(statistics.median(per_item), 6) if per_item else None,
        fastest=round(min(per_item), 6) if per_item else None,
        slowest=round(max(per_item), 6) if per_item else None,
        reason=reason,
        num_items=len(selected),
        num_passes=len(per_item),
        other_load=round(max(loads), 3) if loads else None,
        device=device.type,
        processor=processor_name(device),
        precision=model_precision(predictor.model),
        threads=params.threads,
        batch_size=params.batch_size,
        torch_version=torch.__version__,
    )


def select_evenly(requests: Sequence[Request], number: int) -> list[Request]:
    """Return `number` different requests at equal distances; all if there are fewer."""
    different = list(dict.fromkeys(requests))
    number = min(number, len(different))
    return [different[i * len(different) // number] for i in range(number)]


def busy_cpu_seconds() -> float | None:
    """Return the CPU time that all processes have used since the start of the machine.

    None where the system does not say; then no time is recorded.
    """
    if not _CPU_TIMES.is_file():
        return None
    all_cpus = _CPU_TIMES.read_text(encoding="ascii").splitlines()[0].split()[1:]
    return sum(int(all_cpus[column]) for column in _BUSY_COLUMNS) / os.sysconf("SC_CLK_TCK")


def _time_pass(run_all: Callable[[], None], repetitions: int) -> _Pass:
    busy_before, own_before, start = busy_cpu_seconds(), time.process_time(), time.perf_counter()
    for _ in range(repetitions):
        run_all()
    seconds = time.perf_counter() - start
    own, busy_after = time.process_time() - own_before, busy_cpu_seconds()
    if busy_before is None or busy_after is None:
        return _Pass(seconds / repetitions, None)
    return _Pass(seconds / repetitions, max(0.0, busy_after - busy_before - own) / seconds)


def _disturbance(timed_pass: _Pass) -> str:
    """Return why a pass does not count; empty if nothing else ran."""
    if timed_pass.other_load is None:
        return "the load of other processes is unknown on this system"
    if timed_pass.other_load > MAX_OTHER_LOAD:
        return (
            f"other processes used {timed_pass.other_load:.1f} CPUs, at most {MAX_OTHER_LOAD} are "
            "allowed; evaluate again while nothing else runs"
        )
    return ""
