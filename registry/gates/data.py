"""Gates of the training data: validation, licences, and the contamination check."""

from __future__ import annotations

from collections import Counter, defaultdict
from fnmatch import fnmatchcase

from registry.gates.evidence import Evidence
from registry.gates.result import GateResult
from registry.policy import DataRules

NOT_RECORDED = "not recorded"


def check_data(candidate: Evidence, rules: DataRules) -> list[GateResult]:
    """Check the data that a version was trained on."""
    return [
        _check_validation(candidate, rules),
        _check_licences(candidate, rules),
        _check_contamination(candidate, rules),
        *_check_self_test(candidate, rules),
    ]


def unrecorded(name: str, reason: str, rules: DataRules) -> GateResult:
    """Return the result of a gate whose value is not recorded; the policy says if that passes.

    Args:
        name: the gate.
        reason: what is missing, and how to record it.
        rules: the policy's section `data`.
    """
    accepted = " (accepted by data.allow_unrecorded)" if rules.allow_unrecorded else ""
    return GateResult(
        name=name, passed=rules.allow_unrecorded, detail=f"{NOT_RECORDED}: {reason}{accepted}"
    )


def _check_validation(candidate: Evidence, rules: DataRules) -> GateResult:
    """Count the failed expectations, apart from the warnings that the policy allows."""
    dataset = candidate.dataset
    if dataset is None:
        return unrecorded(
            "data_validated",
            f"the workspace had no files of data version {candidate.run.data_version} when the "
            "version was registered",
            rules,
        )
    failures = [
        expectation
        for expectation in dataset.failed_expectations
        if expectation.blocking
        or not any(fnmatchcase(expectation.text, p) for p in rules.allowed_warnings)
    ]
    num_allowed = len(dataset.failed_expectations) - len(failures)
    detail = f"{len(failures)} of {dataset.num_expectations} expectations failed"
    if num_allowed:
        detail += f", apart from {num_allowed} allowed warnings"
    if failures:
        kind = "blocking" if failures[0].blocking else "warning"
        detail += f"; first: {failures[0].text}, observed {failures[0].observed} ({kind})"
    return GateResult(
        name="data_validated",
        passed=not failures and dataset.num_expectations > 0,
        detail=detail,
        value=len(failures),
        limit=0,
    )


def _check_licences(candidate: Evidence, rules: DataRules) -> GateResult:
    """Count the sources whose terms the policy does not allow, in the whole training chain."""
    licences = candidate.run.licences
    if licences is None:
        return unrecorded("licences_allowed", "release 0.1.0 did not record licences", rules)
    num_by_terms = Counter(licence.terms for licence in licences)
    forbidden = [entry for entry in licences if entry.terms not in rules.allowed_licences]
    detail = ", ".join(f"{count} {terms}" for terms, count in sorted(num_by_terms.items()))
    detail = f"{len(licences)} sources ({detail or 'none'}); allowed: " + (
        ", ".join(rules.allowed_licences) or "none"
    )
    if forbidden:
        first = forbidden[0]
        detail += f"; first not allowed: {first.source} ({first.licence}, {first.terms})"
    return GateResult(
        name="licences_allowed",
        passed=not forbidden,
        detail=detail,
        value=len(forbidden),
        limit=0,
    )


def _check_contamination(candidate: Evidence, rules: DataRules) -> GateResult:
    """Check every suite, so that a large suite does not hide a small one."""
    num_items: dict[str, int] = defaultdict(int)
    num_contaminated: dict[str, int] = defaultdict(int)
    for task in candidate.evaluation.tasks:
        if task.num_contaminated is None:
            return unrecorded(
                "uncontaminated",
                "the evaluation record does not count contaminated items: the training data of an "
                "imported model is unknown; other models are evaluated again",
                rules,
            )
        num_items[task.suite] += task.num_items
        num_contaminated[task.suite] += task.num_contaminated
    limits = {
        suite: rules.max_contaminated_share_by_suite.get(suite, rules.max_contaminated_share)
        for suite in num_items
    }
    shares = {suite: num_contaminated[suite] / num_items[suite] for suite in num_items}
    suite = max(shares, key=lambda name: shares[name] - limits[name])
    return GateResult(
        name="uncontaminated",
        passed=shares[suite] <= limits[suite],
        detail=f"{num_contaminated[suite]} of {num_items[suite]} items of {suite}, the suite that "
        f"is closest to its limit, overlap with the training mixture; maximum {limits[suite]:.1%}",
        value=shares[suite],
        limit=limits[suite],
    )


def _check_self_test(candidate: Evidence, rules: DataRules) -> list[GateResult]:
    """Check that the contamination check finds the overlaps planted in the mixture."""
    names = ("contamination_recall", "contamination_precision")
    test = candidate.evaluation.overlap_self_test
    if test is None:
        reason = "the evaluation record has no self-test of the contamination check"
        return [unrecorded(name, reason, rules) for name in names]
    return [
        GateResult(
            name=name,
            passed=value >= limit,
            detail=f"{description} {value:.4f} on planted overlaps, minimum {limit:g}",
            value=value,
            limit=limit,
        )
        for name, value, limit, description in (
            (names[0], test.min_recall, rules.min_self_test_recall, "smallest recall of a kind"),
            (names[1], test.precision, rules.min_self_test_precision, "precision"),
        )
    ]
