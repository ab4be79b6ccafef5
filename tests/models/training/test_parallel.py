"""Every way to share the work over gloo processes, against one process on the same rows."""

import importlib.util
import json

import pytest
import torch

from tests.models.training.made import torchrun

SCRIPT = """
import dataclasses, json, sys
from pathlib import Path
import torch
from models.architecture.moe.expert_parallel import whole
from models.training.distributed import join
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
                         **{"z_loss": 1e-3, **job.get("moe", {})})
        params = TrainingParams(
            global_batch_size=8, log_every=1, gradient_accumulation_steps=job.get("gradient_accumulation_steps", 1),
            dispatch=job.get("dispatch", "native"), freeze=job.get("freeze"),
            activation_checkpointing=job.get("recompute", False),
            optim=OptimParams(name=job.get("optim", "adamw"), warmup_steps=5, clip=0.5),
            loss=LossParams(z_loss_weight=1e-3, label_smoothing=0.1),
            parallel=ParallelParams(**job.get("parallel", {})),
            checkpoint=CheckpointParams(save_every=job.get("every", 50), keep=9),
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


TUTEL = importlib.util.find_spec("tutel") is not None
KINDS = ("ddp", "oss", "sharded", "fsdp")
DENSE = {"sparse": False}
TOP2 = {"moe": {"router": "st_moe", "k": 2, "dense_residual": True}}
# The routers' losses of parts are the mean of theirs, not those of the whole.
UNBALANCED = {"moe": {"balance_loss": 0.0, "z_loss": 0.0}}


def variants(processes):
    """Name -> (job, job of the single process that it must equal)."""
    made = {}
    if processes == 4:  # which has meshes of 2 x 2, and of experts alone
        for kind in KINDS:
            for experts in (2, 4) if kind in ("oss", "fsdp") else (2,):
                parallel = {"parallel": {"data": kind, "experts": experts}}
                made[f"{kind}_{experts}"] = (parallel, "moe")
        two_ways = {"optim": "adafactor", "parallel": {"data": "fsdp", "experts": 2}}
        return made | {"fsdp_adafactor": (two_ways, "adafactor")}
    for kind in KINDS:
        made[f"{kind}_dense"] = (DENSE | {"parallel": {"data": kind}}, "dense")
        for experts in (1, 2):
            parallel = {"parallel": {"data": kind, "experts": experts}}
            made[f"{kind}_{experts}"] = (parallel, "moe")
    apart = {"experts": 2}
    for kind, name, job, like in (
        ("oss", "adafactor", {"optim": "adafactor"}, "adafactor"),
        ("fsdp", "adafactor", {"optim": "adafactor"}, "adafactor"),
        ("sharded", "recomputed", TOP2 | {"recompute": True}, "top2"),
        ("fsdp", "recomputed", TOP2 | {"recompute": True}, "top2"),
        ("ddp", "frozen", {"freeze": "all_but_moe"}, "frozen"),
        ("sharded", "frozen", {"freeze": "all_but_moe"}, "frozen"),
        ("sharded", "in_parts", UNBALANCED | {"gradient_accumulation_steps": 2}, "unbalanced"),
        ("fsdp", "in_parts", UNBALANCED | {"gradient_accumulation_steps": 2}, "unbalanced"),
        ("oss", "fairscale", {"dispatch": "fairscale"}, "moe"),
    ):
        made[f"{kind}_{name}"] = (job | {"parallel": {"data": kind} | apart}, like)
    if TUTEL:
        for kind in KINDS:
            parallel = {"parallel": {"data": kind} | apart, "dispatch": "tutel"}
            made[f"{kind}_tutel"] = (parallel, "moe")
    return made


SINGLE = {
    "dense": DENSE,
    "moe": {},
    "adafactor": {"optim": "adafactor"},
    "top2": TOP2,
    "frozen": {"freeze": "all_but_moe"},
    "unbalanced": UNBALANCED,
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
            # A balance loss of parts is told as the mean of theirs.
            keys = ("loss", "grad_norm") if "parts" in name else ("loss", "balance", "grad_norm")
            for key in keys:
                assert line[key] == pytest.approx(expected[key], abs=1e-5), (name, key, line)
        for tensor, weight in single[1][like].items():
            torch.testing.assert_close(
                states[name][tensor], weight, atol=1e-5, rtol=1e-5, msg=f"{name}: {tensor}"
            )


MOVE = """
import json, shutil, sys
from pathlib import Path
import torch
from models.architecture.moe.expert_parallel import whole
from models.training.distributed import join
from models.training.params import ParallelParams, TrainingParams
from models.training.trainer import Trainer
from tests.models.training.made import corpus, model, moe
parallel, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
with join(60) as group:
    trainer = Trainer(
        model=model(moe(num_experts=4), dropout=0.0), corpus=corpus(24), seed=1, steps=3,
        params=TrainingParams(global_batch_size=8, parallel=ParallelParams(**parallel)),
        folder=folder / "run", group=group,
    )
    trainer.fit()  # trains the first time; then only reads
    group.barrier()
    if group.is_first:
        shutil.rmtree(folder / "run")
    trainer.checkpoints.prepare()
    trainer._save(wait=True)
    state = whole(trainer._tensors())
    parts = [None] * group.world
    if group.world > 1:  # with OSS each process keeps the state of other weights
        torch.distributed.all_gather_object(parts, state)
    if group.is_first:
        merged = {name: t for part in parts for name, t in (part or state).items()}
        torch.save(merged, folder / f"{sys.argv[3]}.pt")
"""


def test_a_checkpoint_is_read_by_any_number_of_processes(tmp_path):
    """1 -> 2 -> 4 -> 1 processes, experts over 1, 2, 2 and 1: the same bits, optimizer included."""
    chain = [
        (1, {}),
        (2, {"data": "oss", "experts": 2}),
        (4, {"data": "fsdp", "experts": 2}),
        (1, {}),
    ]
    for number, (processes, parallel) in enumerate(chain):
        arguments = (json.dumps(parallel), tmp_path, number)
        torchrun(MOVE, *arguments, processes=processes, folder=tmp_path)
        (saved,) = (tmp_path / "run").glob("step-*3")
        assert len(list(saved.glob("*.safetensors"))) == processes  # each wrote its part
    states = [torch.load(tmp_path / f"{number}.pt", weights_only=True) for number in range(4)]
    for state in states[1:]:
        assert {n for n in state if not n.startswith("random")} == {
            n for n in states[0] if not n.startswith("random")
        }
        for name, weight in states[0].items():
            if not name.startswith("random"):
                assert torch.equal(state[name], weight), name
    assert any(name.startswith("optimizer") for name in states[0])
