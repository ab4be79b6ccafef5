"""Compare a workspace's data with that of the refresh before; report drift to Prefect."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data_pipelines.drift import Drift, DriftLimits, find_drift
from data_pipelines.profile import DataProfile, profile_data, read_profile, write_profile
from flows.deployments.events import FlanmoeEvent, emit
from flows.runtime.workspace import STATE

PROFILE = STATE / "data_profile.json"
"""Profile of the data version that the last refresh produced."""


@task(cache_policy=NO_CACHE, persist_result=False)
def report_drift(workspace: Path, limits: DriftLimits) -> str:
    """Compare the data with the profile of the refresh before, store the new profile, and report.

    Drift raises the event DATA_DRIFTED.

    Returns:
        One line: how the data changed.
    """
    profile = profile_data(workspace)
    path = workspace / PROFILE
    before = read_profile(path) if path.is_file() else None
    drifts = find_drift(before, profile, limits) if before is not None else []
    summary = _describe(before, profile, drifts)
    create_markdown_artifact(
        key="data-profile",
        markdown=_render(before, profile, drifts),
        description=summary,
    )
    if drifts:
        get_run_logger().warning("%s", summary)
        emit(
            FlanmoeEvent.DATA_DRIFTED,
            f"data.{profile.data_version}",
            f"data version {profile.data_version}",
            summary,
            drifts=[str(drift) for drift in drifts],
        )
    write_profile(path, profile)  # last, so that a run that failed is compared again
    return summary


def _describe(before: DataProfile | None, profile: DataProfile, drifts: list[Drift]) -> str:
    version = profile.data_version
    if before is None:
        return f"data version {version} is the first: nothing to compare with"
    if before.data_version == version:
        return f"data version {version} is unchanged"
    if not drifts:
        return f"data version {before.data_version} → {version}: no drift"
    shown = "; ".join(map(str, drifts[:3]))
    more = f"; and {len(drifts) - 3} more" if len(drifts) > 3 else ""
    return f"data version {before.data_version} → {version} drifted: {shown}{more}"


def _render(before: DataProfile | None, profile: DataProfile, drifts: list[Drift]) -> str:
    lines = [
        f"Data version `{profile.data_version}`, before `{before.data_version if before else '–'}`",
        "",
        "| mixture | examples | share | mean prompt | mean target |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {mixture.num_examples:,} | {mixture.num_examples / profile.num_examples:.1%} "
        f"| {mixture.inputs.mean:.1f} | {mixture.targets.mean:.1f} |"
        for name, mixture in profile.mixtures.items()
    ]
    if drifts:
        lines += ["", "Drift:", "", *(f"- {drift}" for drift in drifts)]
    return "\n".join(lines)
