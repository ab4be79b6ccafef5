"""Time per item: repeated passes, recorded only while nothing else runs."""

import json
import time

import pytest
import torch

from data_pipelines.files import sha256
from models.evaluation import speed
from models.evaluation.batches import Request
from models.evaluation.device import model_precision
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.speed import MAX_OTHER_LOAD, NUM_PASSES, measure_speed, select_evenly
from models.replicate import Replicate
from models.stages import evaluate

REQUESTS = [
    *(Request(prompt=f"Question: {i}", answers=("yes", "no")) for i in range(30)),
    *(Request(prompt=f"Question: {i}", max_new_tokens=4) for i in range(30)),
]


@pytest.fixture
def predictor(imported_weights):
    return Seq2SeqPredictor.load(imported_weights, imported_weights)


@pytest.fixture
def machine(monkeypatch):
    """Replace the machine's CPU time by this process's and a chosen load of others."""
    loads = []

    def set_loads(*other_loads):
        """Set the load of others after each reading; the last one stays."""
        loads[:] = other_loads

    state = {"other": 0.0, "time": time.perf_counter()}

    def busy_cpu_seconds():
        now = time.perf_counter()
        load = loads.pop(0) if len(loads) > 1 else loads[0]
        state["other"] += load * (now - state["time"])
        state["time"] = now
        return time.process_time() + state["other"]

    monkeypatch.setattr(speed, "busy_cpu_seconds", busy_cpu_seconds)
    monkeypatch.setattr(speed, "MIN_PASS_SECONDS", 0.05)
    return set_loads


def test_measure_speed_is_the_median_of_repeated_passes(predictor, params, machine, monkeypatch):
    machine(0.0)
    batches = []
    monkeypatch.setattr(
        speed, "run_batch", lambda batch, _: (batches.append(batch), time.sleep(0.002))
    )
    record = measure_speed(predictor, REQUESTS, params, "w")
    assert record.reason == ""
    assert (record.num_items, record.num_passes) == (32, NUM_PASSES)
    assert 0 < record.fastest <= record.seconds_per_item <= record.slowest
    # 32 items in batches of 4, each of which sleeps 2 ms
    assert record.fastest >= 8 * 0.002 / 32
    assert len(batches) % 8 == 0
    assert len(batches) >= 8 * (1 + NUM_PASSES)
    assert (record.device, record.precision, record.threads) == ("cpu", "float32", 1)
    assert record.processor
    assert record.torch_version == torch.__version__


@pytest.mark.parametrize("loads", [(1.0,), (0.0,) * 7 + (2 * MAX_OTHER_LOAD, 2 * MAX_OTHER_LOAD)])
def test_measure_speed_with_another_process_records_no_time(predictor, params, machine, loads):
    """From the beginning, or from a later pass on."""
    machine(*loads)
    record = measure_speed(predictor, REQUESTS, params, "w")
    assert (record.seconds_per_item, record.fastest, record.slowest) == (None, None, None)
    assert record.num_passes == 0
    assert record.other_load > MAX_OTHER_LOAD
    assert record.reason.startswith("other processes used")


def test_measure_speed_of_an_unknown_load_records_no_time(predictor, params, monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "_CPU_TIMES", tmp_path / "missing")
    record = measure_speed(predictor, REQUESTS, params, "w")
    assert record.seconds_per_item is None
    assert record.reason == "the load of other processes is unknown on this system"


@pytest.mark.process
def test_busy_cpu_seconds_counts_other_processes():
    import subprocess
    import sys

    before, own = speed.busy_cpu_seconds(), time.process_time()
    subprocess.run(
        [sys.executable, "-c", "import time\nwhile time.process_time() < 1: pass"], check=True
    )
    others = speed.busy_cpu_seconds() - before - (time.process_time() - own)
    assert others >= 0.9


def test_select_evenly_spreads_over_different_requests():
    selected = select_evenly([*REQUESTS, *REQUESTS], 6)
    assert selected == REQUESTS[::10]
    assert select_evenly(REQUESTS[:3], 6) == REQUESTS[:3]


def test_evaluate_writes_the_measurement_and_its_conditions(workspace, params, machine):
    machine(0.0)
    evaluate.run(Replicate("moe", 0), params, workspace)
    written = json.loads((workspace / "runs/moe/seed_0/speed.json").read_text())
    assert written["seconds_per_item"] > 0
    assert written["num_items"] == 20
    assert written["weights_sha256"] == sha256(
        workspace / "runs/moe/seed_0/weights/model.safetensors"
    )
    record = json.loads((workspace / "runs/moe/seed_0/evaluation.json").read_text())
    assert (record["device"], record["precision"]) == ("cpu", "float32")
    assert record["torch_version"] == torch.__version__


def test_model_precision_follows_the_weights_and_the_setting_of_torch(predictor):
    assert model_precision(torch.nn.Linear(2, 2).bfloat16()) == "bfloat16"
    torch.set_float32_matmul_precision("high")
    try:
        assert model_precision(predictor.model) == "tfloat32"
    finally:
        torch.set_float32_matmul_precision("highest")
