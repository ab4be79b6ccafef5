"""Two gloo processes with fairscale's sharded optimizer against one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from data_pipelines.packed import PackedCorpus
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.training.parallel import join
from models.training.params import OptimParams, TrainingParams
from models.training.trainer import Trainer

sparse, steps, folder = sys.argv[1] == "moe", int(sys.argv[2]), Path(sys.argv[3])
torch.set_num_threads(1)
rng = np.random.default_rng(0)
lengths = rng.integers(3, 9, 24)  # ranks hold different numbers of targets
shard = {
    "tokens": rng.integers(2, 30, (24, 8), dtype=np.int32),
    "segments": np.ones((24, 8), np.int32),
    "target_tokens": rng.integers(2, 30, (24, 8), dtype=np.int32),
    "target_segments": (np.arange(8)[None] < lengths[:, None]).astype(np.int32),
}
corpus = PackedCorpus({"rows": 24}, [shard])
# The balance loss is a mean within a process: off, so that the comparison is exact.
moe = MoEConfig(num_experts=3, capacity_factor_train=None, balance_loss=0.0, expert_dropout=0.0)
config = ModelConfig(vocab_size=32, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2,
                     moe=moe if sparse else None)
with join() as group:
    trainer = Trainer(
        model=T5(config).reset_parameters(0), corpus=corpus, seed=1, steps=steps,
        params=TrainingParams(batch_rows=8, checkpoint_every=7, optim=OptimParams(warmup_steps=5)),
        fingerprint="x", checkpoints=folder, group=group,
    )
    trainer.fit()
    flat = torch.cat([t.flatten() for t in trainer.model.state_dict().values()])
    if group.is_first:
        torch.save(flat, folder / "weights.pt")
"""


def train(folder: Path, kind: str, processes: int, steps: int = 20) -> None:
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(SCRIPT)
    launcher = (
        [sys.executable]
        if processes == 1
        else [sys.executable, "-m", "torch.distributed.run", "--standalone",
              "--nproc-per-node", str(processes)]
    )  # fmt: skip
    command = [*launcher, str(script), kind, str(steps), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, timeout=300, capture_output=True)


@pytest.mark.parametrize("kind", ["dense", "moe"])
def test_two_processes_train_the_same_weights_as_one(tmp_path, kind):
    import torch

    train(tmp_path / "one", kind, 1)
    train(tmp_path / "two", kind, 2)
    one = torch.load(tmp_path / "one" / "weights.pt", weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pt", weights_only=True)
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-4)


def test_a_checkpoint_of_two_processes_is_continued_by_one(tmp_path):
    import torch

    train(tmp_path / "whole", "dense", 1)
    folder = tmp_path / "moved"
    train(folder, "dense", 2, steps=20)  # its last checkpoint is of step 14
    latest = json.loads((folder / "latest.json").read_text())
    assert latest["step"] == 14
    train(folder, "dense", 1, steps=20)
    one = torch.load(tmp_path / "whole" / "weights.pt", weights_only=True)
    moved = torch.load(folder / "weights.pt", weights_only=True)
    torch.testing.assert_close(moved, one, atol=1e-5, rtol=1e-4)


def test_the_optimizer_state_is_sharded_by_fairscale():
    import torch
    import torch.distributed as dist
    from fairscale.optim.oss import OSS

    from models.training import optim
    from models.training.params import OptimParams

    store = dist.HashStore()
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        built = optim.build(torch.nn.Linear(2, 2), OptimParams(), sharded=True)
        assert isinstance(built, OSS)
    finally:
        dist.destroy_process_group()
