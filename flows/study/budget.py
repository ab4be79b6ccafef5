"""Fit a study into a time budget: fewer steps, then fewer seeds, never fewer models or arms."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from data_pipelines.files import write_json
from flows.errors import InvalidStudy
from flows.study.estimate import StudyEstimate, estimate_study
from flows.study.expansion import StudyPlan, StudyScale, plan_study
from flows.study.load import as_data
from flows.study.params import MIN_SEEDS

MIN_STEP_FACTOR = 0.1
"""Smallest share of an arm's steps; with fewer, the arms are no longer those of the study."""
SCALE_FILE = "study_scale.json"


def fit_budget(estimate: StudyEstimate, minutes: float) -> StudyScale:
    """Return the scale at which a study is expected to end in time.

    Args:
        estimate: of the full study.
        minutes: time budget.

    Raises:
        InvalidStudy: even the smallest scale takes longer; the line names its time.
    """
    for num_seeds in range(estimate.num_seeds, MIN_SEEDS - 1, -1):
        share = num_seeds / estimate.num_seeds
        available = 60 * minutes - share * estimate.fixed_seconds
        factor = min(1.0, available / max(share * estimate.training_seconds, 1e-9))
        if factor >= MIN_STEP_FACTOR:
            return StudyScale(step_factor=math.floor(1000 * factor) / 1000, num_seeds=num_seeds)
    share = MIN_SEEDS / estimate.num_seeds
    least = share * (MIN_STEP_FACTOR * estimate.training_seconds + estimate.fixed_seconds)
    raise InvalidStudy(
        f"--budget: {minutes:g} minutes are too few: {MIN_SEEDS} seeds with "
        f"{100 * MIN_STEP_FACTOR:g} % of the steps take about {math.ceil(least / 60)} minutes; "
        "raise it, or write a smaller study"
    )


def plan_with_budget(project: Path, name: str, minutes: float) -> tuple[StudyPlan, StudyScale]:
    """Plan a study within a budget, in workspaces of its own.

    The scale depends on measured speed, which changes; that of the first call is stored, so that a
    second call continues the same runs. It is computed again if the study has changed.

    Raises:
        InvalidStudy: the study has errors, or the budget is too small.
    """
    full = plan_study(project, name)
    suffix = f"budget-{minutes:g}"
    path = plan_study(project, name, suffix=suffix).workspaces[0].folder / SCALE_FILE
    definition = json.loads(json.dumps(as_data(full.study)))
    stored = _read(path)
    if stored is not None and stored.get("study") == definition:
        scale = StudyScale(**stored["scale"])
    else:
        scale = fit_budget(estimate_study(project, full), minutes)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"study": definition, "scale": dataclasses.asdict(scale)})
    return plan_study(project, name, scale, suffix=suffix), scale


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
