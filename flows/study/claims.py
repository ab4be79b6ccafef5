"""Verdicts on the claims of a study: contrasts of its models on the same items and seeds."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flows.study.params import ClaimPart, StudyClaim, StudyParams
from registry.comparison.paired_estimate import PairedEstimate, estimate_difference
from registry.comparison.pairing import pair_with_chance
from registry.comparison.results import EvaluationResult
from registry.comparison.version_contrast import ContrastPart, common_seeds, pair_contrast

ClaimVerdict = Literal["confirmed", "contradicted", "undecided", "not judged"]
CONFIDENCE = 0.95
Results = Mapping[str, Sequence[EvaluationResult]]
"""Evaluations by MODEL/ARM, one per seed."""


@dataclass(frozen=True, kw_only=True)
class ContrastResult:
    """A contrast with its interval."""

    difference: float
    low: float
    high: float
    p_value: float
    """Two-sided, of a contrast of 0."""
    num_seeds: int
    num_items: int
    basis: str
    decidable_difference: float
    """True contrast that such a study decides with a power of 80 %."""
    by_seed: dict[str, float]
    """The contrast of each seed alone."""

    @classmethod
    def of(cls, parts: Sequence[ContrastPart]) -> ContrastResult:
        """Estimate the mean of contrasts."""
        sample = pair_contrast(parts)
        estimate: PairedEstimate = estimate_difference(sample)
        low, high = estimate.interval(CONFIDENCE)
        by_seed = {
            str(seed): estimate_difference(
                pair_contrast([_of_seed(p, seed) for p in parts])
            ).difference
            for seed in sample.seeds_a
        }
        return cls(
            difference=estimate.difference,
            low=low,
            high=high,
            p_value=estimate.p_value(),
            num_seeds=estimate.num_seeds_a,
            num_items=estimate.num_items,
            basis=estimate.basis,
            decidable_difference=estimate.decidable_difference((1 - CONFIDENCE) / 2),
            by_seed=by_seed,
        )


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """A claim with the contrasts that decide it."""

    name: str
    claim: StudyClaim
    mean: ContrastResult | None
    """Mean of the parts, which the verdict is about; None if runs are missing."""
    parts: dict[str, ContrastResult]
    verdict: ClaimVerdict
    part_verdicts: dict[str, ClaimVerdict]
    missing: tuple[str, ...]
    """Runs without which the claim was judged on fewer seeds, or not at all."""
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return claim, contrasts and verdict as JSON values."""
        claim = self.claim
        return {
            "name": self.name,
            "statement": claim.statement,
            "source": claim.source,
            "primary": claim.primary,
            "above": claim.above,
            "within": claim.within,
            "confidence": CONFIDENCE,
            "verdict": self.verdict,
            "mean": None if self.mean is None else vars(self.mean),
            "parts": {
                name: {
                    "plus": list(claim.parts[name].plus),
                    "minus": list(claim.parts[name].minus),
                    "tasks": list(claim.parts[name].tasks),
                    "verdict": self.part_verdicts[name],
                    **vars(part),
                }
                for name, part in self.parts.items()
            },
            "missing": list(self.missing),
            "notes": list(self.notes),
        }


def match_tasks(names: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the names that match any of the patterns."""
    return tuple(
        name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    )


def judge_claims(study: StudyParams, results: Results) -> tuple[ClaimResult, ...]:
    """Judge every claim by the seeds that all its runs have.

    Args:
        study: the study.
        results: the finished evaluations.
    """
    return tuple(_judge(study, name, claim, results) for name, claim in study.claims.items())


def judge_contrast(claim: StudyClaim, contrast: ContrastResult) -> ClaimVerdict:
    """Return whether the interval lies where the claim says, elsewhere, or in both.

    One seed decides nothing: its interval does not hold for other seeds.
    """
    if contrast.num_seeds < 2:
        return "undecided"
    if claim.above is not None:
        low, high = claim.above, float("inf")
    else:
        assert claim.within is not None
        low, high = -claim.within, claim.within
    if low < contrast.low and contrast.high < high:
        return "confirmed"
    return "contradicted" if contrast.high < low or contrast.low > high else "undecided"


def _judge(study: StudyParams, name: str, claim: StudyClaim, results: Results) -> ClaimResult:
    terms = dict.fromkeys(
        term for part in claim.parts.values() for term in (*part.plus, *part.minus)
    )
    missing = tuple(
        f"{term}, seed {seed}"
        for term in terms
        for seed in study.seeds
        if seed not in [result.run.seed for result in results.get(term, ())]
    )
    parts = {
        part_name: _contrast_part(part, results)
        for part_name, part in claim.parts.items()
        if all(results.get(term) for term in (*part.plus, *part.minus))
    }
    parts = {part_name: part for part_name, part in parts.items() if common_seeds([part])}
    contrasts = {part_name: ContrastResult.of([part]) for part_name, part in parts.items()}
    is_complete = len(parts) == len(claim.parts) and bool(common_seeds(list(parts.values())))
    mean = None
    if is_complete:
        mean = (
            ContrastResult.of(list(parts.values()))
            if len(parts) > 1
            else next(iter(contrasts.values()))
        )
    return ClaimResult(
        name=name,
        claim=claim,
        mean=mean,
        parts=contrasts,
        verdict="not judged" if mean is None else judge_contrast(claim, mean),
        part_verdicts={
            part_name: judge_contrast(claim, contrast) for part_name, contrast in contrasts.items()
        },
        missing=missing,
        notes=tuple(_chance_notes(parts, claim)),
    )


def _contrast_part(part: ClaimPart, results: Results) -> ContrastPart:
    return ContrastPart(
        plus=tuple(results[term] for term in part.plus),
        minus=tuple(results[term] for term in part.minus),
        tasks=match_tasks(list(results[part.plus[0]][0].tasks), part.tasks),
    )


def _of_seed(part: ContrastPart, seed: int) -> ContrastPart:
    """Return the contrast of one seed."""

    def select(
        groups: tuple[Sequence[EvaluationResult], ...],
    ) -> tuple[Sequence[EvaluationResult], ...]:
        return tuple([r for r in group if r.run.seed == seed] for group in groups)

    return ContrastPart(plus=select(part.plus), minus=select(part.minus), tasks=part.tasks)


def _chance_notes(parts: Mapping[str, ContrastPart], claim: StudyClaim) -> list[str]:
    """Name the terms of differences of differences that may be no better than random answers."""
    notes = []
    for name, part in parts.items():
        if len(part.plus) < 2:
            continue
        weights = dict.fromkeys(part.tasks, 1 / len(part.tasks))
        terms = (*claim.parts[name].plus, *claim.parts[name].minus)
        uncertain = [
            term
            for term, group in zip(terms, (*part.plus, *part.minus), strict=True)
            if estimate_difference(pair_with_chance(group, weights=weights)).interval()[0] <= 0
        ]
        if uncertain:
            notes.append(
                f"{name}: random answers are not excluded for {', '.join(uncertain)}; where all "
                "start from chance, the contrast shows what each gains, not which was better before"
            )
    return notes
