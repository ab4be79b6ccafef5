"""Requests for approval: one open request a version, one decision a request, all in the history."""

import threading
from datetime import datetime, timedelta

import pytest

from registry import approvals
from registry.approvals import ApprovalState
from registry.errors import ApprovalRefused, InterventionRefused, UnknownVersion

DAY = timedelta(days=1)


@pytest.fixture
def candidates(registry, submit):
    """A registry whose version 1 is champion; versions 2 and 3 are not."""
    for accuracy in (0.5, 0.6, 0.7):
        registry.register("m", submit(accuracy=accuracy))
    registry.promote("m", 1, actor="flow")
    return registry


def later(monkeypatch, duration):
    """Move the registry's clock forward."""
    now = approvals.utc_now()
    monkeypatch.setattr(approvals, "utc_now", lambda: now + duration)


def test_request_and_approve_are_recorded_with_person_time_and_reason(candidates):
    request = candidates.approvals.request(
        "m", 2, actor="flow:promotion", valid_for=3 * DAY, flow_run="run-1"
    )
    assert (request.state, request.version, request.champion) == ("requested", 2, 1)
    assert request.expires_at - request.requested_at == pytest.approx(3 * DAY, abs=DAY / 86400)
    decided = candidates.approvals.decide(
        "m", 2, approve=True, actor="ann", reason="read 20 answers"
    )
    assert (decided.state, decided.decided_by, decided.reason) == (
        "approved", "ann", "read 20 answers",
    )  # fmt: skip
    assert candidates.approvals.list("m") == [decided]
    requested, approved = candidates.history("m")[-2:]
    assert (requested.kind, requested.actor, requested.version) == (
        "approval requested",
        "flow:promotion",
        2,
    )
    assert datetime.fromisoformat(requested.details["expires_at"]) == request.expires_at
    assert (approved.kind, approved.actor, approved.reason) == (
        "approved", "ann", "read 20 answers",
    )  # fmt: skip
    assert approved.details == {"approval": request.number}


def test_request_is_unique_for_a_version_and_for_a_flow_run(candidates):
    first = candidates.approvals.request("m", 2, actor="flow", valid_for=DAY, flow_run="run-1")
    other = candidates.approvals.request("m", 2, actor="flow", valid_for=DAY, flow_run="run-2")
    assert other == first
    candidates.approvals.decide("m", 2, approve=False, actor="ann", reason="wrong dates")
    again = candidates.approvals.request("m", 2, actor="flow", valid_for=DAY, flow_run="run-1")
    assert (again.number, again.state) == (first.number, "declined")
    new = candidates.approvals.request("m", 2, actor="flow", valid_for=DAY, flow_run="run-3")
    assert new.number != first.number
    assert new.state == "requested"


def test_expired_request_cannot_be_approved_and_is_closed_once(candidates, monkeypatch):
    candidates.approvals.request("m", 2, actor="flow", valid_for=DAY)
    candidates.approvals.request("m", 3, actor="flow", valid_for=3 * DAY)
    later(monkeypatch, 2 * DAY)
    with pytest.raises(ApprovalRefused, match="no open request for approval: the last one is exp"):
        candidates.approvals.decide("m", 2, approve=True, actor="ann", reason="late")
    (closed,) = candidates.approvals.expire(actor="flow:janitor")
    assert (closed.version, closed.state, closed.decided_by) == (2, "expired", "flow:janitor")
    assert candidates.approvals.expire(actor="flow:janitor") == []
    assert [a.state for a in candidates.approvals.list()] == [
        ApprovalState.EXPIRED, ApprovalState.REQUESTED,
    ]  # fmt: skip
    assert candidates.history("m")[-1].kind == "approval expired"


@pytest.mark.parametrize(
    ("version", "actor", "reason", "message"),
    [
        (2, "ann", "  ", "a decision needs a person and a reason"),
        (2, " ", "good", "a decision needs a person and a reason"),
        (2, "ann", "x" * 100_001, "at most 100,000 characters"),
        (3, "ann", "good", "version 3 of 'm' has no open request for approval; `flanmoe"),
    ],
)
def test_decide_invalid_is_refused(candidates, version, actor, reason, message):
    candidates.approvals.request("m", 2, actor="flow", valid_for=DAY)
    with pytest.raises(ApprovalRefused, match=message):
        candidates.approvals.decide("m", version, approve=True, actor=actor, reason=reason)
    assert [a.state for a in candidates.approvals.list()] == ["requested"]


def test_request_for_champion_rejected_unknown_or_unbounded_is_refused(candidates):
    candidates.reject("m", 3, actor="ann", reason="wrong")
    for number, duration, message in (
        (1, DAY, "is champion already"),
        (3, DAY, "is rejected; `flanmoe registry reinstate 3"),
        (2, 0 * DAY, "out of bounds; expected more than 0"),
        (2, 366 * DAY, "at most 365 days"),
    ):
        with pytest.raises(ApprovalRefused, match=message):
            candidates.approvals.request("m", number, actor="flow", valid_for=duration)
    with pytest.raises(UnknownVersion):
        candidates.approvals.request("m", 9, actor="flow", valid_for=DAY)


def test_two_people_deciding_at_once_give_a_single_decision(candidates):
    candidates.approvals.request("m", 2, actor="flow", valid_for=DAY)
    start, outcomes = threading.Barrier(2), []

    def decide(actor, approve):
        start.wait()
        try:
            candidates.approvals.decide("m", 2, approve=approve, actor=actor, reason="my view")
            outcomes.append(actor)
        except ApprovalRefused as error:
            outcomes.append(str(error))

    threads = [
        threading.Thread(target=decide, args=person) for person in (("ann", True), ("bob", False))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = {"ann", "bob"} & set(outcomes)
    assert sum("has no open request" in outcome for outcome in outcomes) == 1
    (approval,) = candidates.approvals.list("m")
    assert approval.decided_by == winner


def test_reason_with_a_character_that_no_database_stores_is_refused(candidates):
    candidates.approvals.request("m", 2, actor="flow", valid_for=DAY)
    with pytest.raises(InterventionRefused, match=r"the reason: the character .\\x00. is"):
        candidates.approvals.decide("m", 2, approve=True, actor="ann", reason="a\0b")
    assert [approval.state for approval in candidates.approvals.list("m")] == ["requested"]
