"""Promotion: read a case, judge it, and record the decision if the case is still the same.

Gates read and verify files, which can take minutes, so they are checked without a lock. The
decision is recorded under the model's lock, and only if nothing that it depends on has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import has_model_files
from registry.comparison.cost_order import order_by_cost
from registry.errors import NotPermitted
from registry.gates.check import check_gates
from registry.gates.collection import collect_candidate, collect_compared
from registry.gates.evidence import Evidence
from registry.gates.result import GateOutcome, GateReport
from registry.interventions import limit_text
from registry.lookup import find_champion, find_model, find_version, lock_model
from registry.permissions import is_program, require_override, require_person, require_promoter
from registry.policy import Policy
from registry.policy_file import load_model_policy
from registry.promotion import (
    PromotionDecision,
    PromotionReport,
    add_refusal,
    find_obstacle,
    preview,
    record,
)
from registry.promotion_case import CaseVersion, PromotionCase, read_case, read_revision
from registry.replicates import choose_candidates, find_rejected_replicate
from registry.session import reading, transaction
from registry.tables import ModelRow, VersionRow

UNLOCKED_ATTEMPTS = 2
"""Attempts to decide without a lock; then the model is locked while the gates are checked."""


@dataclass(frozen=True, kw_only=True)
class Promoter:
    """Decides about promotions of one registry, by the rules of a policy file."""

    engine: Engine
    artifacts: ArtifactStore
    policy_path: Path | None

    def policy(self, model_name: str) -> Policy:
        """Return the rules of a model; the file is read again for every decision.

        Raises:
            InvalidPolicy: the policy file has errors.
        """
        return load_model_policy(self.policy_path, model_name)

    def require_person(self, model_name: str, actor: str, action: str) -> None:
        """Check that a person may change what is champion by hand; see `require_person`.

        Raises:
            InvalidPolicy: the policy file has errors.
            NotPermitted: the actor is a program, or the policy does not list the person.
        """
        require_person(actor, self.policy(model_name).promoters, action)

    def promote(
        self, model_name: str, number: int, *, actor: str, override: str = ""
    ) -> PromotionReport:
        """Make a version champion if it passes the gates, and archive the previous champion.

        Args:
            model_name: the registered model.
            number: the version to promote.
            actor: person or program.
            override: reason of a person to promote although gates fail; blank: none.

        Returns:
            The report; a refusal is recorded, too. A version that needs an evaluation first is not.

        Raises:
            InvalidPolicy: the policy file has errors.
            InterventionRefused: the reason is too long, or has characters that cannot be stored.
            NotPermitted: the policy does not list the actor.
            StoreUnavailable: the artifact store cannot be read.
            UnknownVersion: the model or version does not exist.
        """
        policy = self.policy(model_name)
        override = limit_text(override, "the reason of --override").strip()
        require_promoter(actor, policy.promoters)
        if override:
            require_override(actor, policy.promoters)
        for _ in range(UNLOCKED_ATTEMPTS):
            with reading(self.engine) as session:
                model = find_model(session, model_name)
                revision = read_revision(session, model)
                case = _open_case(session, model, number, policy, actor)
            gates = self._judge_unless_decided(case, policy)
            with transaction(self.engine) as session:
                model = lock_model(session, model_name)
                if read_revision(session, model) == revision:
                    return _conclude(session, model, number, case, gates, policy, actor, override)
        with transaction(self.engine) as session:
            model = lock_model(session, model_name)
            case = _open_case(session, model, number, policy, actor)
            gates = self._judge_unless_decided(case, policy)
            return _conclude(session, model, number, case, gates, policy, actor, override)

    def preview(self, model_name: str, number: int, *, override: str = "") -> PromotionReport:
        """Return what `promote` would decide, and change nothing.

        The comparison is computed at the level of the next test, and spends nothing.

        Raises:
            InvalidPolicy: the policy file has errors.
            StoreUnavailable: the artifact store cannot be read.
            UnknownVersion: the model or version does not exist.
        """
        policy = self.policy(model_name)
        with reading(self.engine) as session:
            model = find_model(session, model_name)
            candidate = find_version(session, model, number)
            obstacle = find_obstacle(candidate, find_champion(session, model_name))
            case = read_case(session, model, candidate, policy.comparison.min_saving)
        report = preview(case, self.judge(case, policy), override.strip())
        if not obstacle:
            return report
        return PromotionReport(
            version=number, outcome=GateOutcome.REFUSED, reason=obstacle, gates=report.gates
        )

    def promote_best(
        self, model_name: str, numbers: Sequence[int], *, actor: str
    ) -> PromotionDecision:
        """Promote the versions that replace the champion, from the cheapest to the dearest.

        Each is compared with the champion at that time: a dearer version becomes champion only if
        it is better. The seeds of a recipe are one candidate, see `choose_candidates`. A version
        that a person rejected or demoted is never promoted, nor is another seed of its recipe, and
        a pinned champion is never replaced.

        Args:
            model_name: the registered model.
            numbers: the versions to choose from.
            actor: the program.

        Raises:
            InvalidPolicy: the policy file has errors.
            StoreUnavailable: the artifact store cannot be read.
            UnknownVersion: the model or a version does not exist.
        """
        reports: list[PromotionReport] = []
        try:
            for number in self._candidates(model_name, numbers):
                reports.append(self.promote(model_name, number, actor=actor))
        except NotPermitted as error:
            return self._decision(model_name, reports, GateOutcome.REFUSED, str(error))
        return self._decision(
            model_name, reports, _common_outcome(reports), _describe(model_name, reports)
        )

    def _judge_unless_decided(self, case: PromotionCase | str, policy: Policy) -> GateReport | None:
        """Judge a case; None if a person's decision forbids the promotion."""
        return None if isinstance(case, str) else self.judge(case, policy)

    def judge(self, case: PromotionCase, policy: Policy) -> GateReport:
        """Check the gates of a case, from the files of its versions.

        Raises:
            StoreUnavailable: the artifact store cannot be read.
        """

        def compared(version: CaseVersion | None) -> Evidence | None:
            return None if version is None else collect_compared(version, self.artifacts)

        return check_gates(
            collect_candidate(case.candidate, self.artifacts),
            compared(case.champion),
            policy,
            promoted=[
                collect_compared(other, self.artifacts)
                for other in case.promoted
                if self._is_comparable(case.candidate, other)
            ],
            baseline=compared(case.baseline),
            num_earlier_tests=case.num_earlier_tests,
            is_champion=case.is_champion,
        )

    def _is_comparable(self, candidate: CaseVersion, other: CaseVersion) -> bool:
        """Return whether an earlier champion was evaluated on the candidate's items, or can be.

        It cannot be evaluated again once retention has removed its weights.
        """
        has_same_items = candidate.info.items_digest == other.info.items_digest
        return has_same_items or has_model_files(self.artifacts, other.info)

    def _candidates(self, model_name: str, numbers: Sequence[int]) -> list[int]:
        """Choose a version of each recipe, ordered by FLOPs per item and then by parameters."""
        min_saving = self.policy(model_name).comparison.min_saving
        with reading(self.engine) as session:
            model = find_model(session, model_name)
            rows = [find_version(session, model, number) for number in dict.fromkeys(numbers)]
            ordered = order_by_cost(
                rows,
                lambda row: (row.evaluation.flops_per_item, row.run.total_parameters),
                min_saving,
            )
            champion = find_champion(session, model_name)
            return [row.number for row in choose_candidates(session, ordered, champion)]

    def _decision(
        self,
        model_name: str,
        reports: Sequence[PromotionReport],
        outcome: GateOutcome,
        reason: str,
    ) -> PromotionDecision:
        with reading(self.engine) as session:
            champion = find_champion(session, model_name)
            return PromotionDecision(
                champion_version=champion.number if champion is not None else None,
                changed=outcome == GateOutcome.PROMOTED,
                outcome=outcome,
                reason=reason,
                reports=tuple(reports),
            )


def _open_case(
    session: Session, model: ModelRow, number: int, policy: Policy, actor: str
) -> PromotionCase | str:
    """Return the case of a version, or the decision of a person that forbids its promotion."""
    candidate = find_version(session, model, number)
    obstacle = find_obstacle(candidate, find_champion(session, model.name))
    if not obstacle and is_program(actor):
        rejected = find_rejected_replicate(session, candidate)
        if rejected is not None:
            obstacle = (
                f"a person rejected version {rejected.number}, another seed of the same recipe; "
                f"`flanmoe registry promote {number}` promotes it by hand"
            )
    return obstacle or read_case(session, model, candidate, policy.comparison.min_saving)


def _conclude(
    session: Session,
    model: ModelRow,
    number: int,
    case: PromotionCase | str,
    gates: GateReport | None,
    policy: Policy,
    actor: str,
    override: str,
) -> PromotionReport:
    """Record the decision about a case, in a transaction with the model locked."""
    if isinstance(case, str) or gates is None:
        obstacle = str(case)
        candidate: VersionRow = find_version(session, model, number)
        add_refusal(session, candidate, obstacle, (), actor=actor)
        return PromotionReport(
            version=number, outcome=GateOutcome.REFUSED, reason=obstacle, gates=()
        )
    report = preview(case, gates, override)
    record(session, case, gates, report, actor=actor, policy_sha256=policy.sha256)
    return report


def _common_outcome(reports: Sequence[PromotionReport]) -> GateOutcome:
    """Return the outcome of several decisions: `promoted` if one was, else what all have."""
    outcomes = {report.outcome for report in reports}
    if GateOutcome.PROMOTED in outcomes:
        return GateOutcome.PROMOTED
    return outcomes.pop() if len(outcomes) == 1 else GateOutcome.UNCHANGED


def _describe(model_name: str, reports: Sequence[PromotionReport]) -> str:
    """Describe several decisions in one line: the last promotion, or why there was none."""
    promoted = [report.version for report in reports if report.is_promoted]
    if promoted:
        return f"version {promoted[-1]} of {model_name!r} is champion"
    lines = [
        f"version {report.version} of {model_name!r} is not promoted: {report.reason}"
        for report in reports
    ]
    return "; ".join(lines) or "no version to promote"
