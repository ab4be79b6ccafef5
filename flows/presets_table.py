"""`flanmoe models`: every preset with its parameters and compute, from the cost model."""

from __future__ import annotations

import json

from rich.table import Table

from flows.display import count, wide_console
from models import flops
from models.presets import PRESETS


def show(as_json: bool) -> None:
    rows = []
    for name, config in PRESETS.items():
        parameters = flops.parameters(config)
        rows.append(
            {
                "name": name,
                "router": config.moe.router if config.moe else None,
                "experts": config.moe.num_experts if config.moe else 1,
                "k": config.moe.k if config.moe else 1,
                "layers": config.num_layers,
                "d_model": config.d_model,
                "total_parameters": parameters.total,
                "active_parameters": parameters.active,
                "flops_per_token": flops.per_token(config),
            }
        )
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("preset", "router", "experts", "k", "layers", "d_model"):
        table.add_column(column, justify="left" if column in ("preset", "router") else "right")
    for column in ("total params", "active params", "GFLOPs/token"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            str(row["name"]),
            str(row["router"] or "dense"),
            *(str(row[key]) for key in ("experts", "k", "layers", "d_model")),
            count(float(str(row["total_parameters"]))),
            count(float(str(row["active_parameters"]))),
            f"{float(str(row['flops_per_token'])) / 1e9:.4g}",
        )
    wide_console().print(table)
