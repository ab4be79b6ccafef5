"""A against B: by task and suite, with what each of them costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from registry.comparison import paired_tests as paired
from registry.comparison.paired_tests import Floats, Stratum
from registry.comparison.results import Result
from registry.errors import NotComparable

SAME = ("version", "file_sha256", "metric", "answer", "shots", "max_new_tokens", "n")
"""What two records of a task have to agree on."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is asked of a comparison."""

    suites: tuple[str, ...] = ()
    """Suites to compare; none: all that were scored."""
    margin: float = 0.01
    """How much worse is still "not worse", as a share of the maximum score."""
    alpha: float = 0.05
    """Probability of a wrong verdict among all tasks, and among all suites."""
    clean: bool = False
    """Only items that neither model's training mixture overlaps with."""


def compare(a: Result, b: Result, terms: Terms) -> dict[str, Any]:
    """Plain data, as `flanmoe compare --json` prints it; differences are A minus B.

    Raises NotComparable, naming what differs, unless both answered the same items, asked alike.
    """
    names = _common(a, b, terms)
    scores = {name: _scores(a, b, name, terms) for name in names}
    names = [name for name in names if len(scores[name][0])]
    if not names:
        raise NotComparable("no item is left without an overlap with a training mixture")
    means = {name: [float(side.mean()) for side in scores[name]] for name in names}
    differences = {name: scores[name][0] - scores[name][1] for name in names}
    alone = {name: Stratum(differences=differences[name]) for name in names}
    tasks = _judged(
        [
            {
                "task": name,
                "suite": a.tasks[name]["suite"],
                "n": len(differences[name]),
                **_sides(means[name]),
                **_tested([alone[name]], binary=a.tasks[name]["metric"] != "rouge_l"),
            }
            for name in names
        ],
        [[alone[name]] for name in names],
        terms,
    )
    by_suite: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_suite[a.tasks[name]["suite"]].append(name)
    weights = {n: w for members in by_suite.values() for n, w in _weights(a, members).items()}
    weighed = [
        [Stratum(differences=differences[name], weight=weights[name]) for name in members]
        for members in by_suite.values()
    ]
    suites = _judged(
        [
            {
                "suite": suite,
                "tasks": len(members),
                "n": sum(len(differences[name]) for name in members),
                "partial": _suite(a, suite)["partial"],
                **_sides(np.sum([weights[n] * np.array(means[n]) for n in members], axis=0)),
                **_tested(strata_of, binary=False),
            }
            for (suite, members), strata_of in zip(by_suite.items(), weighed, strict=True)
        ],
        weighed,
        terms,
    )
    return {
        "a": _described(a),
        "b": _described(b),
        "compute": _compute(a, b),
        "margin": terms.margin,
        "alpha": terms.alpha,
        "clean": terms.clean,
        "suites": suites,
        "tasks": tasks,
    }


def _common(a: Result, b: Result, terms: Terms) -> list[str]:
    """Tasks to compare, in A's order."""
    for suite in terms.suites:
        for result in (a, b):
            scored = [s["suite"] for s in result.evaluation["suites"]]
            if suite not in scored:
                raise NotComparable(
                    f"{result.label} was not scored on {suite!r}; it has {', '.join(scored)}"
                )

    def chosen(result: Result) -> list[str]:
        tasks = result.evaluation["tasks"]
        return [t["task"] for t in tasks if not terms.suites or t["suite"] in terms.suites]

    ours, theirs = chosen(a), chosen(b)
    differing = [f"{name}: only {a.label} has it" for name in ours if name not in theirs]
    differing += [f"{name}: only {b.label} has it" for name in theirs if name not in ours]
    for name in ours:
        if name in theirs:
            differing += _differences(a, b, name)
    if differing:
        more = f" ({len(differing)} such)" if len(differing) > 1 else ""
        raise NotComparable(
            f"{a.label} and {b.label} were not asked the same: {differing[0]}{more}; evaluate both "
            "with the same params, or name a suite that is the same with --suite"
        )
    return ours


def _differences(a: Result, b: Result, name: str) -> list[str]:
    for key in SAME:
        ours, theirs = a.tasks[name].get(key), b.tasks[name].get(key)
        if ours != theirs:
            return [f"{name}: {key} is {ours!r} and {theirs!r}"]
    for column, what in (("id", "items"), ("prompt_sha256", "prompts")):
        pairs = zip(a.samples[name][column], b.samples[name][column], strict=True)
        unlike = [i for i, (x, y) in enumerate(pairs) if x != y]
        if unlike:
            return [
                f"{name}: {len(unlike)} of {len(a.samples[name]['id'])} {what} differ, first "
                f"{a.samples[name]['id'][unlike[0]]!r}"
            ]
    return []


def _scores(a: Result, b: Result, name: str, terms: Terms) -> tuple[Floats, Floats]:
    """Scores of both on the items of a task that count."""
    ours, theirs = (np.array(r.samples[name]["score"], dtype=float) for r in (a, b))
    if terms.clean:
        seen = np.array([r.samples[name]["contaminated"] for r in (a, b)], dtype=bool).any(0)
        ours, theirs = ours[~seen], theirs[~seen]
    return ours, theirs


def _weights(a: Result, members: Sequence[str]) -> dict[str, float]:
    """Task -> its share of the suite's average: every unit counts the same."""
    units: dict[str, list[str]] = defaultdict(list)
    for name in members:
        units[a.tasks[name]["unit"]].append(name)
    return {name: 1 / len(units) / len(unit) for unit in units.values() for name in unit}


def _sides(scores: Iterable[float]) -> dict[str, float]:
    return dict(zip(("a", "b"), map(float, scores), strict=True))


def _tested(strata: Sequence[Stratum], *, binary: bool) -> dict[str, Any]:
    p_value = paired.mcnemar(strata[0].differences) if binary else paired.permutation(strata)
    return {
        "difference": paired.difference(strata),
        "test": "mcnemar" if binary else "permutation",
        "p_value": p_value,
    }


def _judged(
    rows: list[dict[str, Any]], strata: Sequence[Sequence[Stratum]], terms: Terms
) -> list[dict[str, Any]]:
    """Adds to each row what the other rows have a say in: corrections for their number."""
    corrected = paired.holm([row["p_value"] for row in rows])
    alpha = terms.alpha / len(rows)
    for row, p_value, of_row in zip(rows, corrected, strata, strict=True):
        resampled = paired.bootstrap(of_row)
        low, high = paired.interval(resampled, 1 - terms.alpha)
        row["low"], row["high"], row["p_corrected"] = low, high, p_value
        surely = paired.interval(resampled, 1 - alpha)[0]
        if len(of_row) == 1:
            surely = min(surely, -paired.unseen_loss(of_row[0].differences, alpha / 2))
        row["verdict"] = paired.verdict(
            difference=row["difference"],
            p_value=p_value,
            low=surely,
            margin=terms.margin,
            alpha=terms.alpha,
        )
        row["items_needed"] = None
        if row["verdict"] == "undecided" and len(of_row) == 1:
            row["items_needed"] = paired.items_needed(
                of_row[0].differences, margin=terms.margin, alpha=alpha
            )
    return rows


def _suite(result: Result, name: str) -> dict[str, Any]:
    return next(suite for suite in result.evaluation["suites"] if suite["suite"] == name)


def _described(result: Result) -> dict[str, Any]:
    run, evaluation = result.run, result.evaluation
    return {
        "label": result.label,
        "name": run["name"],
        "preset": run["preset"],
        "weights_sha256": run["weights_sha256"],
        "partial": evaluation["partial"],
    }


def _compute(a: Result, b: Result) -> dict[str, dict[str, float | None]]:
    """What each costs, in FLOPs, and A's share of B's."""
    costs = {
        "per_token": (a.run["flops_per_token"], b.run["flops_per_token"]),
        "per_item": (a.evaluation["flops_per_item"], b.evaluation["flops_per_item"]),
        "training": (a.run["training_flops"], b.run["training_flops"]),
    }
    return {
        name: {"a": ours, "b": theirs, "ratio": ours / theirs if theirs else None}
        for name, (ours, theirs) in costs.items()
    }
