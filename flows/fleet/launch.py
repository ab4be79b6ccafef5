"""Launch the training of a run: in this process, in several on this node, or on several nodes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from flows.config.run_training import training_params
from flows.config.schema import Params
from flows.errors import StageFailed
from flows.fleet import torchrun
from models.replicate import Replicate


def launch_run(replicate: Replicate, params: Params, workspace: Path) -> None:
    """Train a run with one seed, with the launcher in `flows.fleet`.

    Args:
        replicate: the run and its seed.
        params: parameters of the workspace.
        workspace: folder with the data and the runs.

    Raises:
        StageFailed: training failed, or did not write its run record where this node sees it.
        StagePreempted: training received SIGTERM and saved its state.
    """
    training, fleet = training_params(params.models, replicate.run), params.flows.fleet
    is_single_process = fleet.launcher == "local" and training.processes_per_node == 1
    if is_single_process or torchrun.is_worker():
        from models.stages import train

        train.run(replicate, params.models.runs[replicate.run], training, workspace)
    elif fleet.launcher == "local":
        command = torchrun.agent_command(replicate, training, fleet, node_rank=0)
        torchrun.run_agent(command, replicate, training, workspace)
    elif fleet.launcher == "rendezvous":
        join_run(replicate, params, workspace, node_rank=0)
    elif fleet.launcher == "work_pool":
        from flows.fleet import work_pool

        work_pool.run_on_pool(replicate, fleet, workspace)
    else:
        from flows.fleet import slurm

        slurm.run_job(replicate, training, fleet, workspace)
    record = workspace / replicate.folder / "run.json"
    if not torchrun.is_worker() and not record.is_file():
        raise StageFailed(
            f"train {replicate.label}: {record} is missing; all nodes of the fleet must share this "
            "folder"
        )


def join_run(
    replicate: Replicate,
    params: Params,
    workspace: Path,
    *,
    node_rank: int,
    address: str = "",
    endpoint: str = "",
) -> None:
    """Take part in a run as one node until the run ends.

    Args:
        replicate: the run and its seed.
        params: parameters of the workspace.
        workspace: folder with the data and the runs, shared by all nodes.
        node_rank: rank of this node, from 0.
        address: address of this node for the others; by default its host name.
        endpoint: HOST:PORT of node 0, if it differs from `flows.fleet.endpoint`.

    Raises:
        StageFailed: the node rank is out of range, or the node's processes failed.
        StagePreempted: this node received SIGTERM and saved its state.
    """
    fleet = params.flows.fleet
    if endpoint:
        fleet = dataclasses.replace(fleet, endpoint=endpoint)
    if fleet.launcher == "local":
        raise StageFailed(
            "flows.fleet.launcher: local is a single node; set rendezvous, nodes and endpoint"
        )
    if not 0 <= node_rank < fleet.nodes:
        raise StageFailed(
            f"node rank {node_rank} is out of range; with flows.fleet.nodes {fleet.nodes} it must "
            f"be between 0 and {fleet.nodes - 1}"
        )
    training = training_params(params.models, replicate.run)
    host = fleet.endpoint.rpartition(":")[0]
    command = torchrun.agent_command(
        replicate,
        training,
        fleet,
        node_rank=node_rank,
        address=address or (host if node_rank == 0 else ""),
    )
    torchrun.run_agent_with_restarts(command, replicate, training, workspace)
