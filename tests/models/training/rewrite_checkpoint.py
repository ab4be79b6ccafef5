"""Load a checkpoint on any number of ranks and write it again, sharded as these ranks hold it."""

import shutil

from models.errors import Preempted
from models.training.distributed import DistributedContext
from models.training.params import ParallelParams, TrainingParams
from models.training.trainer import Trainer
from tests.models.training.factories import build_corpus, build_model, moe_config

STEP = 3
PARALLEL = {
    1: ParallelParams(),
    2: ParallelParams(data_parallel="oss", expert_parallel_size=2),
    4: ParallelParams(data_parallel="fsdp", expert_parallel_size=2),
}


def rewrite_checkpoint(folder, dist=None):
    """Resume the run in the folder, delete its checkpoints, and stop, which writes a new one.

    A folder without checkpoints is trained up to step STEP first.
    """
    dist = dist or DistributedContext()
    has_checkpoint = (folder / f"step-{STEP:08d}").is_dir()
    dist.barrier()
    completed = []

    def is_stop_requested():
        if not has_checkpoint and STEP not in completed:
            return False
        if dist.is_main:
            for checkpoint in folder.glob("step-*"):
                shutil.rmtree(checkpoint)
        dist.barrier()
        return True

    trainer = Trainer(
        model=build_model(moe_config(num_experts=4), dropout=0.0),
        corpus=build_corpus(24),
        params=TrainingParams(global_batch_size=8, parallel=PARALLEL[dist.world_size]),
        steps=STEP + 1,
        seed=1,
        folder=folder,
        dist=dist,
        is_stop_requested=is_stop_requested,
    )
    try:
        trainer.fit(on_step=completed.append)
    except Preempted:
        return
    raise AssertionError("the run ended before it was stopped")
