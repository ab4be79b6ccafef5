"""`flanmoe fleet …`: training on several machines."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def fleet() -> None:
    """Several machines: take part in a run, render manifests, deploy to a work pool."""


@fleet.command()
@click.argument("name")
@click.option("--number", required=True, type=int, help="Which machine this is; from 0.")
@click.option("--endpoint", default="", help="HOST:PORT of machine 0. Default: flows.fleet.")
@click.option("--address", default="", help="How the others reach this one. Default: host name.")
def join(name: str, number: int, endpoint: str, address: str) -> None:
    """Take part in training run NAME until it ends.

    On every machine, in the folder that all of them see. Machine 0 is the one whose address is in
    flows.fleet.endpoint; with launcher rendezvous `flanmoe run` itself is machine 0.
    """
    from flows.commands.stages import check_run, stage_params
    from flows.fleet.launch import join as take_part

    params, workspace = stage_params()
    check_run(params, name)
    take_part(name, params, workspace, number=number, address=address, endpoint=endpoint)


@fleet.command()
@click.argument("kind", type=click.Choice(["kubernetes", "service", "slurm"]))
@click.argument("name", required=False)
def render(kind: str, name: str | None) -> None:
    """Print what a cluster is given, made from flows.fleet of params.yaml.

    \b
    kubernetes   base job template of a Prefect work pool (JSON)
    service      the Kubernetes service at which machines find machine 0 (JSON)
    slurm NAME   the sbatch script of run NAME
    """
    from flows.commands.stages import check_run, stage_params
    from flows.config.run_training import training_of
    from flows.fleet import kubernetes, slurm

    params, workspace = stage_params()
    machines = params.flows.fleet
    if kind == "slurm":
        if name is None:
            raise click.UsageError("slurm needs the NAME of a run")
        check_run(params, name)
        training = training_of(params.models, name)
        click.echo(slurm.render(name, training, machines, Path(workspace)), nl=False)
    elif kind == "service":
        if not machines.endpoint:
            raise click.UsageError("flows.fleet.endpoint is empty: set it to HOST:PORT")
        click.echo(json.dumps(kubernetes.service(machines), indent=1))
    else:
        click.echo(json.dumps(kubernetes.base_job_template(machines), indent=1))


@fleet.command()
def deploy() -> None:
    """Make or renew the agent's deployment in the work pool of flows.fleet."""
    from flows.commands.stages import stage_params
    from flows.fleet.work_pool import deploy as make

    params, _ = stage_params()
    click.echo(make(params.flows.fleet))
