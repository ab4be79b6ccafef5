"""Two ranks that disagree, or look at other folders; runs on every rank."""

import dataclasses
import shutil
from pathlib import Path

from models.errors import ModelError
from models.training import agreement, checkpoint
from models.training.agreement import require_same_run, require_shared_folder
from models.training.checkpoint_files import sees_checkpoint
from models.training.distributed import init_distributed
from tests.models.training.factories import build_trainer

VALUES = {"models.training": {"optim": {"lr": 0.001}}, "data": "abc"}
CASES = (
    "same run",
    "other run",
    "shared folder",
    "other folder",
    "stale listing",
    "own checkpoints",
)


def run_case(name, folder, dist):
    """Return what a rank observes: an error's line, or a result."""
    own = folder / f"machine-{dist.rank}"
    if name == "same run":
        require_same_run(dist, VALUES)
    elif name == "other run":
        lr = 0.001 * (1 + dist.rank)
        require_same_run(dist, {**VALUES, "models.training": {"optim": {"lr": lr}}})
    elif name == "shared folder":
        require_shared_folder(dist, folder / "shared", timeout_s=5)
    elif name == "other folder":
        require_shared_folder(dist, own, timeout_s=0.5)
    elif name == "stale listing":
        # Rank 1 does not list the newest checkpoint; both resume from it.
        trainer = build_trainer(folder / "stale", steps=7, dist=dist)
        checkpointer = trainer.checkpointer
        if not dist.is_main:
            checkpointer._find_newest = checkpointer._list = list
        return str(trainer.fit().progress.resumed_from_step)
    else:
        # Both machines have checkpoints at the same path, but rank 1's are older.
        checkpoints = own / "checkpoints"
        shutil.copytree(folder / "stale_copy", checkpoints)
        if not dist.is_main:
            shutil.rmtree(checkpoints / "step-00000006")
            checkpoint.sees_checkpoint = lambda listed, timeout_s: sees_checkpoint(
                dataclasses.replace(listed, folder=checkpoints / listed.folder.name), timeout_s
            )
        build_trainer(folder / "machine-0" / "checkpoints", steps=7, dist=dist).fit()
    return "passed"


def main(folder):
    """Write the line of each case and rank to the folder."""
    folder = Path(folder)
    agreement.socket.gethostname = lambda: f"host-{dist.rank}"
    checkpoint.SHARED_FOLDER_WAIT_S = 0.5
    with init_distributed(60) as dist:
        for name in CASES:
            try:
                line = run_case(name, folder, dist)
            except ModelError as error:
                line = str(error)
            (folder / f"{name}-{dist.rank}.txt").write_text(line)
            dist.barrier()
