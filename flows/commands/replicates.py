"""Names of runs on the command line: NAME stands for all seeds of a run, NAME-SEED for one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands.options import load_workspace

if TYPE_CHECKING:
    from models.replicate import Replicate

_LABEL = re.compile(r"(?P<run>\w+)-(?P<seed>\d+)")


def find_replicates(name: str, root: Path) -> list[Replicate]:
    """Return the replicates that a name stands for, those of a run sorted by seed.

    Args:
        name: a run, with the seeds of params.yaml if that has the run, else with those that lie in
            its folder; or a run and a seed, e.g. `moe_base-1`.
        root: the workspace.

    Returns:
        Replicates, of which the files of some may be missing; empty if there is no such run.
    """
    from models.replicate import Replicate

    match = _LABEL.fullmatch(name)
    if match:
        replicate = Replicate(match["run"], int(match["seed"]))
        return [replicate] if (root / replicate.folder).is_dir() else []
    present = [replicate for replicate in present_replicates(root) if replicate.run == name]
    if not present or not (root / "params.yaml").is_file():
        return present
    _, params = load_workspace(root)
    if name not in params.models.runs:
        return present
    return [Replicate(name, seed) for seed in sorted(params.models.seeds)]


def present_replicates(root: Path) -> list[Replicate]:
    """Return the replicates that have a folder in the workspace, sorted."""
    from models import layout
    from models.replicate import Replicate

    folders = [path for path in (root / layout.RUNS).glob("*/seed_*") if path.is_dir()]
    return sorted(
        Replicate(path.parent.name, int(path.name.removeprefix("seed_"))) for path in folders
    )
