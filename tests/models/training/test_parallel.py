"""Every way to share the work over gloo processes, against one process on the same rows."""

import json

import pytest
import torch

from tests.models.training.made import torchrun

SCRIPT = """
import dataclasses, json, sys
from pathlib import Path
import torch
from models.architecture.moe.expert_parallel import whole
from models.training.group import join
from models.training.params import CheckpointParams, LossParams, OptimParams, ParallelParams
from models.training.params import TrainingParams
from models.training.trainer import Trainer
from tests.models.training.made import corpus, model, moe

jobs, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
with join(60) as group:
    for name, job in jobs.items():
        sparse = None
        if job.get("sparse", True):
            # Full experts drop tokens within a row: the same rows then drop the same tokens.
            sparse = moe(num_experts=4, group_rows=1, min_capacity=1, expert_dropout=0.0,
                         z_loss=1e-3, **job.get("moe", {}))
        params = TrainingParams(
            batch_rows=8, log_every=1, accumulate=job.get("accumulate", 1),
            dispatch=job.get("dispatch", "native"), freeze=job.get("freeze"),
            activation_checkpointing=job.get("recompute", False),
            optim=OptimParams(name=job.get("optim", "adamw"), warmup_steps=5, clip=0.5),
            loss=LossParams(z_loss=1e-3, label_smoothing=0.1),
            parallel=ParallelParams(**job.get("parallel", {})),
            checkpoint=CheckpointParams(every=job.get("every", 50), keep=9),
            validate_every=job.get("every", 0), validate_rows=9,
        )
        trainer = Trainer(
            model=model(sparse, dropout=0.0), corpus=corpus(24, uneven=True), seed=1,
            validation=corpus(9, seed=3, uneven=True), params=params,
            steps=job.get("steps", 20), folder=folder / name, group=group, contents={"a": 1},
        )
        trainer.fit()
        state = whole(trainer.model.state_dict())
        if group.is_first:
            torch.save(state, folder / f"{name}.{group.world}.pt")
            print(json.dumps({name: trainer.live.lines}))
"""


def run(folder, jobs, processes):
    folder.mkdir(exist_ok=True)
    done = torchrun(SCRIPT, json.dumps(jobs), folder, processes=processes, folder=folder)
    logs = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            logs |= json.loads(line)
    states = {
        name: torch.load(folder / f"{name}.{processes}.pt", weights_only=True) for name in jobs
    }
    return logs, states


KINDS = ("ddp", "oss", "sharded", "fsdp")
DENSE = {"sparse": False}
TOP2 = {"moe": {"router": "st_moe", "k": 2, "dense_beside": True}}


def variants(processes):
    """Name -> (job, job of the single process that it must equal)."""
    made = {}
    for kind in KINDS:
        made[f"{kind}_dense"] = (DENSE | {"parallel": {"data": kind}}, "dense")
        for experts in (1, 2, 4):
            if experts <= processes:
                parallel = {"parallel": {"data": kind, "experts": experts}}
                made[f"{kind}_{experts}"] = (parallel, "moe")
        made[f"{kind}_adafactor"] = (
            {"optim": "adafactor", "parallel": {"data": kind, "experts": 2}}, "adafactor",
        )  # fmt: skip
        made[f"{kind}_recomputed"] = (
            TOP2 | {"recompute": True, "parallel": {"data": kind, "experts": 2}}, "top2",
        )  # fmt: skip
        made[f"{kind}_frozen"] = (
            {"freeze": "all_but_moe", "parallel": {"data": kind, "experts": 2}}, "frozen",
        )  # fmt: skip
    return made


SINGLE = {
    "dense": DENSE,
    "moe": {},
    "adafactor": {"optim": "adafactor"},
    "top2": TOP2,
    "frozen": {"freeze": "all_but_moe"},
}


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return run(tmp_path_factory.mktemp("one"), SINGLE, 1)


@pytest.mark.parametrize("processes", [2, 4])
def test_every_combination_gives_the_curve_of_one_process(tmp_path, single, processes):
    found = variants(processes)
    logs, states = run(tmp_path, {name: job for name, (job, _) in found.items()}, processes)
    for name, (_, like) in found.items():
        for line, expected in zip(logs[name], single[0][like], strict=True):
            for key in ("loss", "balance", "grad_norm"):
                assert line[key] == pytest.approx(expected[key], abs=2e-5), (name, key, line)
        for tensor, weight in single[1][like].items():
            torch.testing.assert_close(
                states[name][tensor], weight, atol=2e-5, rtol=1e-4, msg=f"{name}: {tensor}"
            )
