"""Train all cases of the world size, and rewrite the checkpoint of another; runs on every rank."""

import json
import shutil
from pathlib import Path

import torch

from models.architecture.moe.expert_parallel import full_state_dict
from models.training.distributed import init_distributed
from tests.models.training.parallel_cases import build_case_trainer, cases_for
from tests.models.training.rewrite_checkpoint import STEP, rewrite_checkpoint


def main(folder, checkpoint_folder):
    """Write the results of each case, and the rewritten checkpoint, to the folder."""
    folder, checkpoint_folder = Path(folder), Path(checkpoint_folder)
    torch.set_num_threads(1)
    with init_distributed(60) as dist:
        rewrite_checkpoint(checkpoint_folder, dist)
        dist.barrier()
        if dist.is_main:
            rewritten = checkpoint_folder / f"step-{STEP:08d}"
            shutil.copytree(rewritten, folder / f"rewritten_on_{dist.world_size}")
        for name, case in cases_for(dist.world_size).items():
            trainer = build_case_trainer(case, folder / f"{name}_{dist.world_size}", dist)
            result = trainer.fit()
            weights = full_state_dict(trainer.model.state_dict())
            if dist.is_main:
                torch.save(weights, folder / f"{name}_{dist.world_size}.pt")
                record = {"log": result.log_lines, "validation_loss": result.validation_loss}
                (folder / f"{name}_{dist.world_size}.json").write_text(json.dumps(record))
