"""Gates of the evaluation: enough items, complete suites, same items and precision."""

from __future__ import annotations

from registry.comparison.matching import common_tasks
from registry.comparison.precision import describe_precision, rounding_error
from registry.errors import NotComparable
from registry.gates.evidence import Evidence
from registry.gates.result import GateResult
from registry.policy import EvaluationRules


def check_evaluation(candidate: Evidence, rules: EvaluationRules) -> list[GateResult]:
    """Check what a version was evaluated on."""
    num_items = candidate.evaluation.num_items
    return [
        GateResult(
            name="enough_items",
            passed=num_items >= rules.min_items,
            detail=f"{num_items:,} items, minimum {rules.min_items:,}",
            value=num_items,
            limit=rules.min_items,
        ),
        _check_suites(candidate, rules),
    ]


def check_precision(candidate: Evidence, other: Evidence, rules: EvaluationRules) -> GateResult:
    """Check that two versions were evaluated on the same device in the same precision, or alike.

    Args:
        candidate: the version to promote.
        other: the champion.
        rules: the policy's section `evaluation`.
    """
    error = rounding_error(candidate.evaluation, other.evaluation)
    own, others = (describe_precision(e.evaluation) for e in (candidate, other))
    return GateResult(
        name="same_precision",
        passed=error <= rules.max_rounding_error,
        detail=f"evaluated in {own}, {other.label} in {others}; rounding error {error:.1g}, "
        f"maximum {rules.max_rounding_error:.1g}",
        value=error,
        limit=rules.max_rounding_error,
    )


def _check_suites(candidate: Evidence, rules: EvaluationRules) -> GateResult:
    """Count the suites that are absent, lack tasks, or cover only a part of their items."""
    suites = {suite.suite: suite for suite in candidate.evaluation.suites}
    absent = [name for name in rules.required_suites if name not in suites]
    problems = [f"{name} was not evaluated" for name in absent]
    for suite in suites.values():
        if rules.allow_partial:
            continue
        if suite.missing:
            problems.append(f"{suite.suite} lacks {', '.join(suite.missing)}")
        elif suite.partial:
            reason = f" ({suite.partial_reason})" if suite.partial_reason else ""
            problems.append(f"{suite.suite} is partial{reason}")
    if candidate.evaluation.partial and not problems and not rules.allow_partial:
        problems.append("the evaluation is partial")
    return GateResult(
        name="suites_complete",
        passed=not problems,
        detail="; ".join(problems) or f"{', '.join(suites)}: " + _describe_parts(candidate, rules),
        value=len(problems),
        limit=0,
    )


def _describe_parts(candidate: Evidence, rules: EvaluationRules) -> str:
    is_partial = rules.allow_partial and candidate.evaluation.partial
    return "partial (accepted by evaluation.allow_partial)" if is_partial else "all tasks and items"


def check_items(name: str, candidate: Evidence, other: Evidence) -> GateResult:
    """Check that two versions answered the same prompts, scored in the same way.

    Args:
        name: the gate.
        candidate: the version to promote.
        other: the champion, or the best version that was ever champion.
    """
    try:
        tasks = common_tasks(candidate.result, other.result)
    except NotComparable as error:
        return GateResult(name=name, passed=False, detail=str(error))
    return GateResult(
        name=name, passed=True, detail=f"same items as {other.label}, in {len(tasks)} tasks"
    )
