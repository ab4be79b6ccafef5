"""The deployment `promotion`: gates, then a person's approval, then the promotion, then a message.

The request for approval is a row of the registry. The flow run is suspended while it waits: it has
no process, so neither a restart nor a crash of server or worker loses it. It resumes when a person
decides, in Prefect's user interface or with `flanmoe registry approve`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from flows.config.load import load_params
from flows.config.schema import Params
from flows.deployments.events import FlanmoeEvent, emit, emit_refusal
from flows.errors import FlowError
from flows.runtime.processes import ProcessGroups
from flows.runtime.project_policy import open_project_registry
from flows.runtime.promotion_evaluation import promote_after_evaluation
from flows.runtime.stage_usage import record_promotions
from flows.runtime.version_evaluation import evaluate_version
from flows.runtime.workspace import project_of
from registry.approvals import Approval, ApprovalState
from registry.errors import ApprovalRefused, NeedsEvaluation, NotPromoted
from registry.gates.result import GateOutcome, GateResult
from registry.promotion import PromotionReport
from registry.query.search import VersionQuery
from registry.store import Registry
from registry.tables import VersionState

ACTOR = "flow:promotion"
RESUME_MARGIN = timedelta(days=30)
"""Time after the expiry in which Prefect still lets the run resume, to end as expired."""


class PromotionDecisionInput(RunInput):
    """The form that Prefect shows when a person resumes the run."""

    approve: bool = Field(description="Promote this version?")
    approver: str = Field(min_length=1, description="Your account name.")
    reason: str = Field(min_length=1, description="Why; recorded in the registry's history.")


@flow(name="promotion", persist_result=True)
def promotion(
    workspace: Path,
    version: Annotated[int, Field(ge=1)] | None = None,
    approval_days: Annotated[float, Field(gt=0, le=365)] = 7.0,
) -> State[Any]:
    """Promote a version once it passes the gates and a person approves.

    Args:
        workspace: folder with params.yaml, which names the registered model.
        version: the version. Default: the newest one that is not rejected.
        approval_days: days until the request for approval expires.

    Returns:
        Completed, with the name Promoted, Unchanged, Refused, Declined, Expired, or, if another
        run waits for the same approval, AwaitingApproval.
    """
    params, registry = _open(workspace)
    number = version or _newest_version(registry, params)
    title = f"version {number} of {params.registry.model!r}"
    report = report_gates(workspace, number)
    if report.outcome == GateOutcome.UNCHANGED:
        return Completed(name="Unchanged", message=f"{title}: {report.reason}")
    if not report.is_promoted:
        return _refused(params, number, f"{title} is not promoted: {report.reason}")
    run_id = str(flow_run.id)
    try:
        approval = registry.approvals.request(
            params.registry.model,
            number,
            actor=ACTOR,
            valid_for=timedelta(days=approval_days),
            flow_run=run_id,
        )
    except ApprovalRefused as refusal:
        return Completed(name="Unchanged", message=str(refusal))
    if approval.flow_run != run_id:
        waiting = approval.flow_run or "the command line"
        return Completed(
            name="AwaitingApproval", message=f"{title} waits for approval already, in {waiting}"
        )
    if approval.state == ApprovalState.REQUESTED:
        approval = _await_decision(registry, approval, title)
    if approval.state != ApprovalState.APPROVED:
        message = f"{title} is not promoted: {approval.state} by {approval.decided_by}"
        return Completed(
            name=approval.state.value.capitalize(), message=f"{message}: {approval.reason}"
        )
    try:
        report = promote_approved(workspace, number, approval.decided_by)
    except NotPromoted as refusal:  # the champion, or a person's decision, changed meanwhile
        return _refused(params, number, str(refusal))
    name = "Promoted" if report.is_promoted else "Unchanged"
    return Completed(name=name, message=f"{title}: {report.reason}")


@task(cache_policy=NO_CACHE, persist_result=False)
def report_gates(workspace: Path, number: int) -> PromotionReport:
    """Check the gates of a version without promoting it, and show them as an artifact.

    Where it and the champion were evaluated on other items, they are evaluated first.
    """
    params, registry = _open(workspace)
    model, processes = params.registry.model, ProcessGroups()

    def preview() -> PromotionReport:
        report = registry.preview(model, number)
        if report.outcome == GateOutcome.NEEDS_EVALUATION:
            raise NeedsEvaluation(report.reason, report)
        return report

    report = promote_after_evaluation(
        preview,
        number,
        lambda other: evaluate_version(
            registry, model, other, params.models.evaluation, workspace, processes
        ),
    )
    create_markdown_artifact(
        key=f"gates-version-{number}",
        markdown=_render_gates(number, report.gates),
        description=f"gates of version {number} of {model!r}",
    )
    return report


@task(cache_policy=NO_CACHE, persist_result=False)
def promote_approved(workspace: Path, number: int, approver: str) -> PromotionReport:
    """Promote an approved version, if it still passes every gate, and send the event."""
    params, registry = _open(workspace)
    model = params.registry.model
    report = registry.promote(model, number, actor=approver)
    record_promotions(workspace, model, [report])
    message = f"version {number} of {model!r} is champion, approved by {approver}"
    get_run_logger().info("%s", message)
    emit(
        FlanmoeEvent.PROMOTED, f"version.{model}.{number}", f"version {number} of {model}", message
    )
    return report


def _open(workspace: Path) -> tuple[Params, Registry]:
    """Read the parameters of a workspace and open its registry, with the project's policy."""
    params, project = load_params(workspace / "params.yaml"), project_of(workspace)
    return params, open_project_registry(project, params)


def _await_decision(registry: Registry, approval: Approval, title: str) -> Approval:
    """Suspend the run until a person decides or the request expires; return the decision.

    This function runs twice: before the suspension, which ends the process, and after it.
    """
    until = approval.expires_at
    message = (
        f"{title} passed every gate and waits for approval until {until:%Y-%m-%d %H:%M} UTC: "
        f"`flanmoe registry approve {approval.version} --reason …`, or resume flow run "
        f"{flow_run.name}"
    )
    if datetime.now(UTC) < until:
        emit(
            FlanmoeEvent.APPROVAL_REQUESTED,
            f"version.{approval.model}.{approval.version}",
            title,
            message,
            approval=approval.number,
        )
        remaining = until - datetime.now(UTC) + RESUME_MARGIN
        decision = suspend_flow_run(
            wait_for_input=PromotionDecisionInput,
            timeout=int(remaining.total_seconds()),
            key=f"approval-{approval.number}",
        )
        _record(registry, approval, decision)
    registry.approvals.expire(actor=ACTOR)
    return next(a for a in registry.approvals.list(approval.model) if a.number == approval.number)


def _record(registry: Registry, approval: Approval, decision: PromotionDecisionInput) -> None:
    """Record a decision that was entered in Prefect; the command line has recorded its own."""
    try:
        registry.approvals.decide(
            approval.model,
            approval.version,
            approve=decision.approve,
            actor=decision.approver,
            reason=decision.reason,
        )
    except ApprovalRefused as refusal:
        get_run_logger().info("%s", refusal)


def _newest_version(registry: Registry, params: Params) -> int:
    query = VersionQuery(
        where=f"not state = '{VersionState.REJECTED}'", model=params.registry.model, limit=1
    )
    versions = registry.search(query).versions
    if not versions:
        raise FlowError(
            f"model {params.registry.model!r} has no version to promote; run the pipeline first"
        )
    return versions[0].version


def _refused(params: Params, number: int, message: str) -> State[Any]:
    emit_refusal(params.registry.model, number, message)
    return Completed(name="Refused", message=message)


def _render_gates(number: int, gates: Sequence[GateResult]) -> str:
    rows = [
        f"| {gate.name} | {'passed' if gate.passed else '**failed**'} | {gate.detail} |"
        for gate in gates
    ]
    header = [f"Gates of version {number}", "", "| gate | result | detail |", "| --- | --- | --- |"]
    return "\n".join([*header, *rows])
