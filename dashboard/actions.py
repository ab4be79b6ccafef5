"""What a person may do on the page Promotion: the functions of the registry's commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dashboard.flow_runs import resume_flow_run
from registry.store import Registry


@dataclass(frozen=True, kw_only=True)
class ActionRequest:
    """Who wants to change what, and why."""

    model: str
    version: int
    actor: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Action:
    """A change of a version, which a command makes too."""

    perform: Callable[[Registry, ActionRequest], str]
    """Makes the change and describes it."""
    command: str
    """Words after `flanmoe registry`, with VERSION and REASON."""
    explanation: str
    needs_reason: bool = True

    def describe_command(self, model: str, version: int) -> str:
        """Return the command that makes the same change."""
        words = self.command.replace("VERSION", str(version)).replace("REASON", '"…"')
        return f"flanmoe registry {words} --model {shlex.quote(model)}"


def _promote(registry: Registry, request: ActionRequest) -> str:
    report = registry.promote(request.model, request.version, actor=request.actor)
    return _describe_promotion(report.is_promoted, request.version, report.reason)


def _override(registry: Registry, request: ActionRequest) -> str:
    report = registry.promote(
        request.model, request.version, actor=request.actor, override=request.reason
    )
    return _describe_promotion(report.is_promoted, request.version, report.reason)


def _describe_promotion(is_promoted: bool, version: int, reason: str) -> str:
    state = "is champion" if is_promoted else "changes nothing"
    return f"Version {version} {state}: {reason}"


def _roll_back(registry: Registry, request: ActionRequest) -> str:
    before, after = registry.roll_back(
        request.model, actor=request.actor, reason=request.reason, expected=request.version
    )
    champion = "there is no champion now" if after is None else f"version {after} is champion again"
    return f"Version {before} is rejected; {champion}"


def _reject(registry: Registry, request: ActionRequest) -> str:
    registry.reject(request.model, request.version, actor=request.actor, reason=request.reason)
    return f"Version {request.version} is rejected"


def _reinstate(registry: Registry, request: ActionRequest) -> str:
    registry.reinstate(request.model, request.version, actor=request.actor, reason=request.reason)
    return f"Version {request.version} is reinstated"


def _set_pinned(registry: Registry, request: ActionRequest, *, is_pinned: bool) -> str:
    registry.set_pinned(
        request.model, request.version, is_pinned, actor=request.actor, reason=request.reason
    )
    return f"Version {request.version} is {'pinned' if is_pinned else 'not pinned'}"


def _pin(registry: Registry, request: ActionRequest) -> str:
    return _set_pinned(registry, request, is_pinned=True)


def _unpin(registry: Registry, request: ActionRequest) -> str:
    return _set_pinned(registry, request, is_pinned=False)


def _decide(registry: Registry, request: ActionRequest, *, approve: bool) -> str:
    """Record a decision about a promotion, and let the promotion continue."""
    decided = registry.approvals.decide(
        request.model,
        request.version,
        approve=approve,
        actor=request.actor,
        reason=request.reason,
    )
    message = f"Promotion of version {decided.version} is {decided.state}; "
    if decided.flow_run:
        return message + resume_flow_run(decided)
    if not approve:
        return message + "it stays registered"
    report = registry.promote(decided.model, decided.version, actor=decided.decided_by)
    return message + report.reason


def _approve(registry: Registry, request: ActionRequest) -> str:
    return _decide(registry, request, approve=True)


def _decline(registry: Registry, request: ActionRequest) -> str:
    return _decide(registry, request, approve=False)


ACTIONS: Mapping[str, Action] = {
    "promote": Action(
        perform=_promote,
        command="promote VERSION",
        explanation="Checks every gate again; the version becomes champion only if all pass. The "
        "recorded reason is the result of the gates.",
        needs_reason=False,
    ),
    "approve": Action(
        perform=_approve,
        command="approve VERSION --reason REASON",
        explanation="Approves the open request of a promotion; the gates are checked again.",
    ),
    "decline": Action(
        perform=_decline,
        command="decline VERSION --reason REASON",
        explanation="Declines the open request of a promotion; the version stays registered.",
    ),
    "roll back": Action(
        perform=_roll_back,
        command="rollback --from VERSION --reason REASON",
        explanation="If the version is champion, rejects it, and makes the champion before it "
        "champion again.",
    ),
    "reject": Action(
        perform=_reject,
        command="reject VERSION --reason REASON",
        explanation="No program promotes the version until it is reinstated.",
    ),
    "reinstate": Action(
        perform=_reinstate,
        command="reinstate VERSION --reason REASON",
        explanation="Undoes a rejection.",
    ),
    "pin": Action(
        perform=_pin,
        command="pin VERSION",
        explanation="If the version is champion it is not replaced, and its files are never "
        "removed.",
        needs_reason=False,
    ),
    "unpin": Action(
        perform=_unpin,
        command="unpin VERSION",
        explanation="Undoes a pin.",
        needs_reason=False,
    ),
    "promote although gates fail": Action(
        perform=_override,
        command="promote VERSION --override REASON",
        explanation="Makes the version champion with a reason although gates fail; never with "
        "missing or damaged files.",
    ),
}
"""By the name on the page; the first is the default."""
