"""Launch the training of a run: in this process, in several on this node, or on several nodes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from flows.config.run_training import training_params
from flows.config.schema import Params
from flows.errors import StageFailed
from flows.fleet import torchrun


def launch_run(name: str, params: Params, workspace: Path) -> None:
    """Train a run with the launcher in `flows.fleet`.

    Args:
        name: the run.
        params: parameters of the workspace.
        workspace: folder with the data and the runs.

    Raises:
        StageFailed: training failed, or did not write its run record where this node sees it.
        StagePreempted: training received SIGTERM and saved its state.
    """
    training, fleet = training_params(params.models, name), params.flows.fleet
    is_single_process = fleet.launcher == "local" and training.processes_per_node == 1
    if is_single_process or torchrun.is_worker():
        from models.stages import train

        train.run(name, params.models.runs[name], training, workspace)
    elif fleet.launcher == "local":
        command = torchrun.agent_command(name, training, fleet, node_rank=0)
        torchrun.run_agent(command, name, training, workspace)
    elif fleet.launcher == "rendezvous":
        join_run(name, params, workspace, node_rank=0)
    elif fleet.launcher == "work_pool":
        from flows.fleet import work_pool

        work_pool.run_on_pool(name, fleet, workspace)
    else:
        from flows.fleet import slurm

        slurm.run_job(name, training, fleet, workspace)
    record = workspace / "runs" / name / "run.json"
    if not torchrun.is_worker() and not record.is_file():
        raise StageFailed(
            f"train {name}: {record} is missing; all nodes of the fleet must share this folder"
        )


def join_run(
    name: str,
    params: Params,
    workspace: Path,
    *,
    node_rank: int,
    address: str = "",
    endpoint: str = "",
) -> None:
    """Take part in a run as one node until the run ends.

    Args:
        name: the run.
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
    training = training_params(params.models, name)
    host = fleet.endpoint.rpartition(":")[0]
    command = torchrun.agent_command(
        name,
        training,
        fleet,
        node_rank=node_rank,
        address=address or (host if node_rank == 0 else ""),
    )
    torchrun.run_agent_with_restarts(command, name, training, workspace)
