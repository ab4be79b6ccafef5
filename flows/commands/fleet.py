"""`flanmoe fleet …`: training on several nodes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from flows.commands.stages import find_replicate, load_stage_params, seed_option


@click.group()
def fleet() -> None:
    """Train on several nodes."""


@fleet.command()
@click.argument("name")
@seed_option
@click.option("--node-rank", required=True, type=int, help="Rank of this node, from 0.")
@click.option("--endpoint", default="", help="HOST:PORT of node 0. Default: flows.fleet.endpoint.")
@click.option("--address", default="", help="Address of this node. Default: its host name.")
def join(name: str, seed: int | None, node_rank: int, endpoint: str, address: str) -> None:
    """Join the training of run NAME with one seed and take part until it ends.

    Call it on every node, in the folder that all nodes share. Node 0 is the one whose address is
    flows.fleet.endpoint; with launcher rendezvous, `flanmoe run` itself is node 0.
    """
    from flows.fleet.launch import join_run

    params, workspace = load_stage_params()
    replicate = find_replicate(params, name, seed)
    join_run(replicate, params, workspace, node_rank=node_rank, address=address, endpoint=endpoint)


@fleet.command()
@click.argument("kind", type=click.Choice(["kubernetes", "service", "slurm"]))
@click.argument("name", required=False)
@seed_option
def render(kind: str, name: str | None, seed: int | None) -> None:
    """Render cluster manifests from flows.fleet in params.yaml.

    \b
    kubernetes   base job template of a Prefect work pool (JSON)
    service      Kubernetes service under which node 0 is reachable (JSON)
    slurm NAME   sbatch script of run NAME
    """
    from flows.config.run_training import training_params
    from flows.fleet import kubernetes, slurm

    params, workspace = load_stage_params()
    fleet_params = params.flows.fleet
    if kind == "slurm":
        if name is None:
            raise click.UsageError("slurm needs the NAME of a run")
        replicate = find_replicate(params, name, seed)
        training = training_params(params.models, name)
        script = slurm.render_script(replicate, training, fleet_params, Path(workspace))
        click.echo(script, nl=False)
    elif kind == "service":
        if not fleet_params.endpoint:
            raise click.UsageError("flows.fleet.endpoint is empty: set it to HOST:PORT")
        click.echo(json.dumps(kubernetes.service(fleet_params), indent=1))
    else:
        click.echo(json.dumps(kubernetes.base_job_template(fleet_params), indent=1))


@fleet.command()
def deploy() -> None:
    """Create or update the agent deployment in Prefect.

    The work pool is flows.fleet.work_pool in params.yaml.
    """
    from flows.fleet.work_pool import deploy_agent

    params, _ = load_stage_params()
    click.echo(deploy_agent(params.flows.fleet))
