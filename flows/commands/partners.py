"""The result of a run: each MoE model beside its dense partner, in accuracy and in cost."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from flows.commands.tables import add_plain_row, format_bytes, plain_table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from data_pipelines.params import SampleParams
    from registry.comparison.compare import Comparison
    from registry.comparison.replicates import ReplicateGroup
    from registry.versions import VersionInfo

KNOWLEDGE = "sample_knowledge"
BYTES_PER_PARAMETER = 4
_SEVERAL_SEEDS = "over seeds and items"
_SINGLE_SEED = "over items only, as there is one seed"


def partner_tables(
    versions: Sequence[VersionInfo],
    samples_of: Callable[[VersionInfo], Path | None],
    sample: SampleParams | None,
) -> Iterator[Table | str]:
    """Yield a title and a table for each MoE model with a dense partner, and a legend.

    Args:
        versions: versions of one registered model; those on other items than the newest are not
            compared.
        samples_of: returns samples.parquet of a version; None if it is not stored.
        sample: the parameters of the generated sample; None without it.
    """
    from registry.comparison.compare import ComparisonConfig, compare
    from registry.comparison.dense_partners import find_dense_partner
    from registry.comparison.replicates import group_replicates

    if not versions:
        return
    digest = max(versions, key=lambda version: version.version).items_digest
    current = [version for version in versions if version.items_digest == digest]
    groups = group_replicates(current, samples_of)[::-1]
    costs = [group.newest.run_record.flops_per_token for group in groups]
    basis = ""
    for i, moe in enumerate(groups):
        j = find_dense_partner(i, groups, costs) if moe.newest.run_record.is_moe else None
        if j is None or not moe.results or not groups[j].results:
            continue
        dense = groups[j]
        basis = _SEVERAL_SEEDS if max(len(moe.versions), len(dense.versions)) > 1 else _SINGLE_SEED
        tuned = "instruction-tuned" if moe.newest.run_record.tuned else "not instruction-tuned"
        yield (
            f"{moe.newest.name} and {dense.newest.name} ({tuned}), "
            f"{costs[i] / costs[j]:.2f} x the FLOPs per token:"
        )
        compared = compare(moe.results, dense.results, ComparisonConfig())
        yield _table(compared, moe, dense, sample)
        yield ""
    if basis:
        yield (
            f"Intervals: 95 %, {basis}. Verdicts: corrected for the number of suites. `flanmoe "
            "compare` has the tasks."
        )


def _table(
    compared: Comparison, moe: ReplicateGroup, dense: ReplicateGroup, sample: SampleParams | None
) -> Table:
    table = plain_table(["", ">MoE", ">dense", ">difference", ">95 % interval", "verdict"])
    for suite in compared.suites:
        outcome = suite.outcome
        add_plain_row(
            table,
            suite.title,
            f"{100 * suite.score_a:.1f} %",
            f"{100 * suite.score_b:.1f} %",
            f"{100 * outcome.difference:+.1f} points",
            f"{100 * outcome.low:+.1f} … {100 * outcome.high:+.1f}",
            outcome.verdict,
        )
    for name, (value_moe, value_dense), text in _costs(moe, dense, sample):
        if value_moe is not None and value_dense:
            ratio = f"x {value_moe / value_dense:.2f}"
            add_plain_row(table, name, text(value_moe), text(value_dense), ratio, "", "")
    return table


def _costs(
    moe: ReplicateGroup, dense: ReplicateGroup, sample: SampleParams | None
) -> Iterator[tuple[str, tuple[float | None, float | None], Callable[[float], str]]]:
    """Yield a name, the values of both models, and how to write one."""

    def both(value: Callable[[ReplicateGroup], float | None]) -> tuple[float | None, float | None]:
        return value(moe), value(dense)

    def weights(group: ReplicateGroup) -> float:
        return BYTES_PER_PARAMETER * group.newest.run_record.total_parameters

    def training_seconds(group: ReplicateGroup) -> float | None:
        return _mean([version.run_record.training_seconds for version in group.versions])

    def item_seconds(group: ReplicateGroup) -> float | None:
        return _mean([v.speed.seconds_per_item if v.speed else None for v in group.versions])

    yield "weights in float32", both(weights), lambda value: format_bytes(round(value))
    yield "time of the last training", both(training_seconds), lambda value: f"{value:.0f} s"
    yield "time per item", both(item_seconds), lambda value: f"{1000 * value:.3g} ms"
    if sample is not None:

        def bits_per_parameter(group: ReplicateGroup) -> float | None:
            return _mean([_bits_per_parameter(version, sample) for version in group.versions])

        yield "bits of facts per parameter", both(bits_per_parameter), lambda value: f"{value:.3f}"


def _bits_per_parameter(version: VersionInfo, sample: SampleParams) -> float | None:
    from data_pipelines.sources.sample.stored_bits import stored_bits

    prefix = f"{KNOWLEDGE}/"
    accuracies = {
        task.task.removeprefix(prefix): task.accuracy
        for task in version.evaluation.tasks
        if task.task.startswith(prefix)
    }
    bits = stored_bits(sample, accuracies)
    return None if bits is None else bits / version.run_record.total_parameters


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known and len(known) == len(values) else None
