"""`flanmoe models …`: presets and their costs, dense matches, import and export of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.options import FILE, FOLDER, json_option, load_workspace
from flows.commands.run_costs import print_runs
from flows.commands.tables import format_bytes, format_count, plain_table, wide_console

if TYPE_CHECKING:
    from models.config import ModelConfig


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the model presets with parameters, compute and memory, and the runs of the project.

    With a subcommand: list the runs only, find dense models of the same cost, import, export or
    upcycle a checkpoint.
    """
    if context.invoked_subcommand is None:
        _list_presets(as_json)
        if not as_json:
            _list_runs_of_project()


def _list_presets(as_json: bool) -> None:
    from models.cost.memory import OPTIMIZERS
    from models.presets import PRESETS

    rows = [_row(name, config) for name, config in PRESETS.items()]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = plain_table(
        [
            *("preset", "router", ">experts", ">top_k", ">layers", ">d_model", ">vocabulary"),
            *(">total\nparams", ">active\nparams"),
            *(">GFLOPs/\ntoken", ">encoder\ntoken", ">decoder\ntoken", ">routing\nshare"),
            *(f">memory,\n{optimizer}" for optimizer in OPTIMIZERS),
        ]
    )
    for row in rows:
        routing_share = row["encoder_routing_flops"] / row["encoder_flops"]
        table.add_row(
            row["name"],
            _routers(row),
            *(str(row[key]) for key in ("num_experts", "top_k", "num_layers", "d_model")),
            f"{row['vocab_size']:,}",
            format_count(row["total_parameters"]),
            format_count(row["active_parameters"]),
            f"{row['flops_per_token'] / 1e9:.4g}",
            f"{row['encoder_flops'] / 1e9:.4g}",
            f"{row['decoder_flops'] / 1e9:.4g}",
            f"{routing_share:.1%}" if routing_share else "",
            *(format_bytes(row["training_bytes"][name]) for name in OPTIMIZERS),
        )
    wide_console().print(table)
    print(
        "GFLOPs: 2 per active weight and token, for 512 encoder and 114 decoder tokens.\n"
        "Routing share: part of an encoder token's FLOPs.\n"
        "Memory: weights, gradients and optimizer state in bfloat16 training with float32\n"
        "weights, without activations.\n"
        "Vocabulary: the preset's. A run has that of its tokenizer, and thus another size."
    )


def _routers(row: dict[str, Any]) -> str:
    if row["router"] is None:
        return "dense"
    if row["decoder_router"] == row["router"]:
        return str(row["router"])
    return f"{row['router']}, {row['decoder_router']}"


def _row(name: str, config: ModelConfig) -> dict[str, Any]:
    from models.cost import flops
    from models.cost.memory import OPTIMIZERS, training_memory

    parameters, stacks = flops.count_parameters(config), flops.flops_per_stack_token(config)
    moe = config.moe
    return {
        "name": name,
        "router": moe.router if moe else None,
        "decoder_router": config.stack_moe_config(decoder=True).router if moe else None,
        "num_experts": moe.num_experts if moe else 1,
        "top_k": moe.top_k if moe else 1,
        "num_layers": config.num_layers,
        "d_model": config.d_model,
        "vocab_size": config.vocab_size,
        "total_parameters": parameters.total,
        "active_parameters": parameters.active,
        "flops_per_token": flops.flops_per_token(config),
        "encoder_flops": stacks.encoder,
        "decoder_flops": stacks.decoder,
        "encoder_routing_flops": stacks.encoder_routing,
        "decoder_routing_flops": stacks.decoder_routing,
        "training_bytes": {name: training_memory(config, name).total for name in OPTIMIZERS},
    }


def _list_runs_of_project() -> None:
    """Print the runs of the current project; nothing outside of a project."""
    from flows.errors import InvalidParams, NotInProject

    try:
        root, params = load_workspace()
    except NotInProject:
        return
    except InvalidParams:
        print("\nparams.yaml has errors, so its runs are not listed; `flanmoe check` shows them")
        return
    print()
    print_runs(root, params, as_json=False)


@models.command(short_help="List the runs with their size and training cost.")
@click.option(
    "--params", "params_file", type=FILE, help="Params file. Default: params.yaml of the project."
)
@json_option
def runs(params_file: Path | None, as_json: bool) -> None:
    """List the runs of a params file: size, FLOPs per token and training cost.

    Before the data is packed the vocabulary size is an assumption, and the table says so. The
    cumulative cost includes the runs that a run starts from; it is unknown after an import.
    """
    from flows.config.load import load_params

    root, params = load_workspace()
    print_runs(root, load_params(params_file) if params_file else params, as_json=as_json)


@models.command()
@click.argument("preset_name", metavar="PRESET")
@json_option
def show(preset_name: str, as_json: bool) -> None:
    """Print every convention of PRESET with its value and source.

    Values marked "not confirmed" could not be read again in the paper or its code.
    """
    from models.sources import sourced_values

    rows = sourced_values(preset_name)
    if as_json:
        print(json.dumps([vars(row) for row in rows], indent=1))
        return
    table = plain_table(["field", "value", "source"])
    for row in rows:
        table.add_row(row.field, json.dumps(row.value).strip('"'), row.source)
    wide_console().print(table)


@models.command()
@click.argument("name", metavar="[NAME]", required=False)
@json_option
def recipe(name: str | None, as_json: bool) -> None:
    """Print the settings of the training recipe NAME with their sources; without NAME, of all."""
    from models.training.recipes import RECIPES, find_recipe

    recipes = RECIPES if name is None else find_recipe(name)
    if as_json:
        rows = {key: [vars(value) for value in values] for key, values in recipes.items()}
        print(json.dumps(rows, indent=1))
        return
    table = plain_table(["recipe", "models.training", "value", "source"])
    for key, values in recipes.items():
        for value in values:
            source = value.source if value.is_confirmed else f"{value.source}; not confirmed"
            table.add_row(key, value.key, json.dumps(value.value).strip('"'), source)
    wide_console().print(table)


@models.command()
@click.argument("preset_name", metavar="PRESET")
@json_option
def match(preset_name: str, as_json: bool) -> None:
    """List dense models that cost the same FLOPs per token as PRESET."""
    from models.cost import flops
    from models.cost.matching import find_dense_matches
    from models.presets import preset

    config = preset(preset_name)
    matches = find_dense_matches(preset_name, config)
    if as_json:
        rows = [
            {
                "name": m.name,
                "flops_per_token": m.flops_per_token,
                "ratio": m.ratio,
                "total_parameters": flops.count_parameters(m.config).total,
                "config": m.config.to_dict(),
            }
            for m in matches
        ]
        moe = {"name": preset_name, "flops_per_token": flops.flops_per_token(config)}
        print(json.dumps({"model": moe, "dense": rows}, indent=1))
        return
    table = plain_table(["model", ">d_ff", ">params", ">GFLOPs/token", f">/ {preset_name}"])
    compared = [(preset_name, config, 1.0), *((m.name, m.config, m.ratio) for m in matches)]
    for name, row_config, ratio in compared:
        table.add_row(
            name,
            str(row_config.d_ff),
            format_count(flops.count_parameters(row_config).total),
            f"{flops.flops_per_token(row_config) / 1e9:.4g}",
            f"{ratio:.3f}",
        )
    wide_console().print(table)


@models.command("import", short_help="Import a Hugging Face checkpoint.")
@click.argument("source", type=FOLDER)
@click.argument("target", type=FOLDER)
def import_checkpoint(source: Path, target: Path) -> None:
    """Import a Hugging Face checkpoint from folder SOURCE into folder TARGET.

    Supported: T5, T5 v1.1, Flan-T5 and SwitchTransformers, in safetensors (also sharded), with
    spiece.model or tokenizer.json.
    """
    from models.interchange.hugging_face import import_folder

    config = import_folder(source, target)
    click.echo(f"{target}: {_describe(config)}, from {source}")


@models.command("export", short_help="Export weights to the Hugging Face format.")
@click.argument("source", type=FOLDER)
@click.argument("target", type=FOLDER)
def export_checkpoint(source: Path, target: Path) -> None:
    """Export the weights in folder SOURCE and their tokenizer to folder TARGET, for transformers.

    SOURCE is a weights folder, e.g. runs/NAME/seed_0/weights. Supported: dense models and Switch
    models with ReLU. Other routers are rejected, because transformers has no class for them.
    """
    from models.interchange.hugging_face import export_folder

    for warning in export_folder(source, target):
        click.echo(f"not exported to {target}: {warning}", err=True)
    click.echo(f"{target}: exported, for transformers' from_pretrained")


@models.command("upcycle", short_help="Upcycle dense weights to an MoE preset.")
@click.argument("source", type=FOLDER)
@click.argument("preset_name", metavar="PRESET")
@click.argument("target", type=FOLDER)
@click.option("--seed", default=0, show_default=True, help="Seed of the router's weights.")
def upcycle_checkpoint(source: Path, preset_name: str, target: Path, seed: int) -> None:
    """Upcycle the dense weights in SOURCE to the MoE model PRESET, written to TARGET.

    Every expert starts as a copy of the dense feed-forward layer (sparse upcycling).
    """
    from models.interchange.upcycling import upcycle_folder
    from models.presets import preset

    config = upcycle_folder(source, preset(preset_name), target, seed)
    click.echo(f"{target}: {_describe(config)}, from {source}")


def _describe(config: ModelConfig) -> str:
    from models.cost import flops

    kind = f"{config.moe.router}, {config.moe.num_experts} experts" if config.moe else "dense"
    return f"{kind}, {format_count(flops.count_parameters(config).total)} parameters"
