"""Where a run is trained: in this process, in several on this machine, or on several machines."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from flows.config.run_training import training_of
from flows.config.schema import Params
from flows.errors import StageFailed
from flows.fleet import torchrun


def launch(name: str, params: Params, workspace: Path) -> None:
    """Trains run `name` where `flows.fleet` says. Raises what the launcher raises."""
    training, fleet = training_of(params.models, name), params.flows.fleet
    alone = fleet.launcher == "local" and training.processes_per_node == 1
    if alone or torchrun.inside():
        from models.stages import train

        train.run(name, params.models.runs[name], training, workspace)
    elif fleet.launcher == "local":
        torchrun.run(torchrun.command(name, training, fleet, number=0), name, training, workspace)
    elif fleet.launcher == "rendezvous":
        join(name, params, workspace, number=0)
    elif fleet.launcher == "work_pool":
        from flows.fleet import work_pool

        work_pool.submit(name, fleet, workspace)
    else:
        from flows.fleet import slurm

        slurm.submit(name, training, fleet, workspace)
    written = workspace / "runs" / name / "run.json"
    if not torchrun.inside() and not written.is_file():
        raise StageFailed(
            f"train {name}: {written} is not there; do all machines of the fleet see this folder?"
        )


def join(
    name: str, params: Params, workspace: Path, *, number: int, address: str = "",
    endpoint: str = "",
) -> None:  # fmt: skip
    """This machine takes part in run `name`, as machine `number`, until it ends.

    `endpoint`: where machine 0 is found, if another than `flows.fleet.endpoint`.
    """
    fleet = params.flows.fleet
    if endpoint:
        fleet = dataclasses.replace(fleet, endpoint=endpoint)
    if fleet.launcher == "local":
        raise StageFailed(
            "flows.fleet.launcher is local: one machine. Set rendezvous, nodes and endpoint"
        )
    if not 0 <= number < fleet.nodes:
        raise StageFailed(
            f"machine {number}: flows.fleet.nodes is {fleet.nodes}, so they are numbered from 0 to "
            f"{fleet.nodes - 1}"
        )
    training = training_of(params.models, name)
    host = fleet.endpoint.rpartition(":")[0]
    words = torchrun.command(
        name, training, fleet, number=number, address=address or (host if number == 0 else "")
    )
    torchrun.keep_running(words, name, training, workspace)
