"""Data and expert parallelism on gloo ranks, against a single rank on the same rows."""

import json
import shutil

import pytest
import torch
import torch.distributed.checkpoint as dcp
from filelock import FileLock
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

from tests.factories import shared_folder
from tests.models.training.parallel_cases import REFERENCES, build_case_trainer, cases_for
from tests.models.training.rewrite_checkpoint import STEP, rewrite_checkpoint
from tests.ranks import run_on_ranks

pytestmark = pytest.mark.multiprocess
WORLD_SIZE_BY_CHECKPOINT = {
    "written_on_1": 1, "rewritten_on_2": 2, "rewritten_on_4": 4, "rewritten_on_1": 1,
}  # fmt: skip
"""One checkpoint, loaded and rewritten in this order."""


@pytest.fixture(scope="session")
def parallel_runs(tmp_path_factory, worker_id):
    """Run all cases once for all pytest processes.

    Beside the results of the cases, the folder holds the checkpoints of WORLD_SIZE_BY_CHECKPOINT.
    """
    folder = shared_folder(tmp_path_factory, worker_id, "parallel_runs")
    with FileLock(f"{folder}.lock"):
        if not (folder / "rewritten_on_1").is_dir():
            shutil.rmtree(folder, ignore_errors=True)
            checkpoint = folder / "checkpoint"
            rewrite_checkpoint(checkpoint)
            shutil.copytree(checkpoint / f"step-{STEP:08d}", folder / "written_on_1")
            run_on_ranks("tests.models.training.train_cases", (2, 4), folder, checkpoint)
            rewrite_checkpoint(checkpoint)
            shutil.copytree(checkpoint / f"step-{STEP:08d}", folder / "rewritten_on_1")
    return folder


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """Results of the single-rank runs: log lines, validation loss and weights, by name."""
    folder = tmp_path_factory.mktemp("references")
    results = {}
    for name, case in REFERENCES.items():
        trainer = build_case_trainer(case, folder / name)
        result = trainer.fit()
        results[name] = result.log_lines, result.validation_loss, trainer.model.state_dict()
    return results


@pytest.mark.parametrize(
    ("world_size", "name"), [(size, name) for size in (2, 4) for name in cases_for(size)]
)
def test_fit_on_several_ranks_equals_a_single_rank(parallel_runs, references, world_size, name):
    case = cases_for(world_size)[name]
    expected_log, expected_validation_loss, expected_weights = references[case.reference]
    record = json.loads((parallel_runs / f"{name}_{world_size}.json").read_text())
    weights = torch.load(parallel_runs / f"{name}_{world_size}.pt", weights_only=True)
    keys = ["loss", "grad_norm"]
    if "gradient_accumulation_steps" not in case.training:  # it averages over microbatches
        keys.append("load_balance_loss")
    for line, expected in zip(record["log"], expected_log, strict=True):
        for key in keys:
            assert line[key] == pytest.approx(expected[key], abs=1e-5), (key, line)
    assert record["validation_loss"] == pytest.approx(expected_validation_loss, abs=1e-5)
    for tensor, weight in expected_weights.items():
        torch.testing.assert_close(weights[tensor], weight, atol=1e-5, rtol=1e-5, msg=tensor)


def read_checkpoint(folder):
    """Return all tensors of a checkpoint, read without collectives, except random states."""
    reader = HuggingFaceStorageReader(str(folder))
    metadata = reader.read_metadata().state_dict_metadata
    tensors = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in metadata.items()
        if not name.startswith("random")
    }
    dcp.load(tensors, storage_reader=reader, no_dist=True)
    return tensors


def test_checkpoint_other_world_size_loads_the_same_bits(parallel_runs):
    """1, 2, 4 and 1 ranks, experts on 1, 2, 2 and 1 of them; optimizer state included."""
    checkpoints = []
    for name, world_size in WORLD_SIZE_BY_CHECKPOINT.items():
        shards = list((parallel_runs / name).glob("*.safetensors"))
        assert len(shards) == world_size, name  # each rank wrote its shard
        checkpoints.append(read_checkpoint(parallel_runs / name))
    for tensors in checkpoints[1:]:
        assert tensors.keys() == checkpoints[0].keys()
        for name, tensor in checkpoints[0].items():
            assert torch.equal(tensors[name], tensor), name
    assert any(name.startswith("optimizer") for name in checkpoints[0])
