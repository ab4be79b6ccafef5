"""The runs of a params file with the size of each model and its training cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.tables import format_count, format_flops, plain_table, wide_console

if TYPE_CHECKING:
    from flows.config.schema import Params
    from models.cost.plan import DataSizes, PlannedRun


def print_runs(root: Path, params: Params, *, as_json: bool) -> None:
    """Print the size and cost of each run, as a table or as JSON.

    Args:
        root: workspace, whose packed data gives the vocabulary size if it exists.
        params: the runs, and the data settings that are assumed without packed data.
        as_json: whether to print JSON.
    """
    from flows.config.run_training import training_params
    from models.cost.plan import plan_runs

    data, assumption = _data_sizes(root, params)
    training = {name: training_params(params.models, name) for name in params.models.runs}
    rows = [_row(planned) for planned in plan_runs(params.models.runs, training, data, root)]
    if as_json:
        print(
            json.dumps(
                {"assumed": assumption, "seeds": params.models.seeds, "runs": rows}, indent=1
            )
        )
        return
    table = plain_table(
        ["run", "preset", "start", ">vocabulary", ">total\nparams", ">active\nparams",
         ">GFLOPs/\ntoken", ">training", ">with its\nstart chain", ">recomputed"]
    )  # fmt: skip
    for row in rows:
        recomputed = row["recomputation_flops"]
        table.add_row(
            *(row[key] for key in ("name", "preset", "start")),
            f"{row['vocab_size']:,}",
            format_count(row["total_parameters"]),
            format_count(row["active_parameters"]),
            f"{row['flops_per_token'] / 1e9:.4g}",
            format_flops(row["training_flops"]),
            format_flops(row["cumulative_training_flops"]),
            format_flops(recomputed) if recomputed else "",
        )
    wide_console().print(table)
    seeds = params.models.seeds
    if len(seeds) > 1:
        print(f"Costs are those of one seed; every run is trained with {len(seeds)}.")
    print(assumption or "Vocabulary: that of the tokenizer, padded to a multiple of 64.")


def _row(planned: PlannedRun) -> dict[str, Any]:
    from models.cost import flops

    config, parameters = planned.config, flops.count_parameters(planned.config)
    return {
        "name": planned.name,
        "preset": planned.run.preset,
        "start": planned.run.start,
        "vocab_size": config.vocab_size,
        "total_parameters": parameters.total,
        "active_parameters": parameters.active,
        "flops_per_token": flops.flops_per_token(config),
        "training_flops": planned.flops.total,
        "recomputation_flops": planned.flops.recomputation,
        "cumulative_training_flops": planned.cumulative_flops,
    }


def _data_sizes(root: Path, params: Params) -> tuple[DataSizes, str]:
    """Return the sizes of the packed data, or those to expect and a text that says so."""
    from flows.runtime.data_sizes import expected_sizes, packed_sizes

    sizes = packed_sizes(root)
    if sizes is not None:
        return sizes, ""
    sizes = expected_sizes(root, params)
    if params.data_pipelines.tokenizer.model_file:
        return sizes, ""
    return sizes, (
        f"Vocabulary: assumed from data_pipelines.tokenizer.vocab_size, {sizes.vocab_size:,}, "
        "padded to a multiple of 64, as no data is packed;\nthe trained tokenizer may have fewer "
        "pieces."
    )
