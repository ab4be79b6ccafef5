"""`flanmoe models …`: presets and their costs, dense partners, checkpoints in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from flows.runtime.display import count, wide_console
from models.config import ModelConfig
from models.cost import flops
from models.cost.matching import matches
from models.cost.memory import OPTIMIZERS, training_memory
from models.presets import PRESETS, preset


def show(as_json: bool) -> None:
    """Every preset with its parameters, compute and memory, from the cost model."""
    rows = [_row(name, config) for name, config in PRESETS.items()]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("preset", "router", "experts", "k", "layers", "d_model"):
        table.add_column(column, justify="left" if column in ("preset", "router") else "right")
    for column in ("total", "active"):
        table.add_column(f"{column}\nparams", justify="right")
    for column in ("GFLOPs/\ntoken", "encoder\ntoken", "decoder\ntoken", "of them\nrouting"):
        table.add_column(column, justify="right")
    for optimizer in OPTIMIZERS:
        table.add_column(f"memory,\n{optimizer}", justify="right")
    for row in rows:
        routing = row["encoder_routing_flops"] / row["encoder_flops"]
        table.add_row(
            row["name"],
            _routers(row),
            *(str(row[key]) for key in ("experts", "k", "layers", "d_model")),
            count(row["total_parameters"]),
            count(row["active_parameters"]),
            f"{row['flops_per_token'] / 1e9:.4g}",
            f"{row['encoder_flops'] / 1e9:.4g}",
            f"{row['decoder_flops'] / 1e9:.4g}",
            f"{routing:.1%}" if routing else "",
            *(_bytes(row["training_bytes"][name]) for name in OPTIMIZERS),
        )
    wide_console().print(table)
    print(
        "GFLOPs: 2 per active weight and token, 512 encoder and 114 decoder tokens.\n"
        "Memory: weights, gradients, optimizer in bfloat16 training with float32 weights, without\n"
        "activations."
    )


def _bytes(number: int) -> str:
    """In units of 1000, as memory of accelerators is sold: 1.39e9 -> 1.39 GB."""
    return f"{count(number).replace('B', 'G')}B"


def _routers(row: dict[str, Any]) -> str:
    if row["router"] is None:
        return "dense"
    if row["decoder_router"] == row["router"]:
        return str(row["router"])
    return f"{row['router']}, {row['decoder_router']}"


def _row(name: str, config: ModelConfig) -> dict[str, Any]:
    parameters, stacks = flops.parameters(config), flops.per_stack(config)
    moe = config.moe
    return {
        "name": name,
        "router": moe.router if moe else None,
        "decoder_router": config.moe_of(decoder=True).router if moe else None,
        "experts": moe.num_experts if moe else 1,
        "k": moe.top_k if moe else 1,
        "layers": config.num_layers,
        "d_model": config.d_model,
        "total_parameters": parameters.total,
        "active_parameters": parameters.active,
        "flops_per_token": flops.per_token(config),
        "encoder_flops": stacks.encoder,
        "decoder_flops": stacks.decoder,
        "encoder_routing_flops": stacks.encoder_routing,
        "decoder_routing_flops": stacks.decoder_routing,
        "training_bytes": {name: training_memory(config, name).total for name in OPTIMIZERS},
    }


def match(name: str, as_json: bool) -> None:
    """The dense models that cost the same per token as preset `name`."""
    config = preset(name)
    found = matches(name, config)
    if as_json:
        rows = [
            {
                "name": m.name,
                "flops_per_token": m.flops_per_token,
                "ratio": m.ratio,
                "total_parameters": flops.parameters(m.config).total,
                "config": m.config.to_dict(),
            }
            for m in found
        ]
        moe = {"name": name, "flops_per_token": flops.per_token(config)}
        print(json.dumps({"model": moe, "dense": rows}, indent=1))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model")
    for column in ("d_ff", "params", "GFLOPs/token", f"/ {name}"):
        table.add_column(column, justify="right")
    for label, shown, ratio in [(name, config, 1.0), *((m.name, m.config, m.ratio) for m in found)]:
        table.add_row(
            label,
            str(shown.d_ff),
            count(flops.parameters(shown).total),
            f"{flops.per_token(shown) / 1e9:.4g}",
            f"{ratio:.3f}",
        )
    wide_console().print(table)


def import_checkpoint(source: Path, target: Path) -> None:
    """A Hugging Face folder becomes a weights folder of ours."""
    from models.interchange.hugging_face import import_folder

    config = import_folder(source, target)
    click.echo(f"{target}: {_describe(config)}, from {source}")


def export_checkpoint(source: Path, target: Path) -> None:
    """A weights folder of ours becomes a Hugging Face folder."""
    from models.interchange.hugging_face import export_folder

    for lost in export_folder(source, target):
        click.echo(f"not in {target}: {lost}", err=True)
    click.echo(f"{target}: written, for transformers' from_pretrained")


def upcycle_checkpoint(source: Path, preset_name: str, target: Path, seed: int) -> None:
    """A dense weights folder becomes a sparse one."""
    from models.interchange.upcycling import upcycle_folder

    config = upcycle_folder(source, preset(preset_name), target, seed)
    click.echo(f"{target}: {_describe(config)}, from {source}")


def _describe(config: ModelConfig) -> str:
    kind = f"{config.moe.router}, {config.moe.num_experts} experts" if config.moe else "dense"
    return f"{kind}, {count(flops.parameters(config).total)} parameters"
