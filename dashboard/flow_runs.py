"""Resume the Prefect flow run that waits for a decision, over Prefect's HTTP API."""

from __future__ import annotations

import os

import httpx

from registry.approvals import Approval, ApprovalState

API_VARIABLE = "PREFECT_API_URL"
AUTH_VARIABLE = "PREFECT_API_AUTH_STRING"
"""USER:PASSWORD of Prefect's basic authentication."""
TIMEOUT_S = 10.0


def resume_flow_run(approval: Approval) -> str:
    """Resume the run that requested an approval, and say how the promotion continues.

    The decision is in the registry: a run that cannot be resumed now is resumed by the janitor.

    Args:
        approval: the decided request.
    """
    url = os.environ.get(API_VARIABLE)
    if not url:
        return f"the janitor resumes flow run {approval.flow_run} ({API_VARIABLE} is not set)"
    form = {
        "approve": approval.state == ApprovalState.APPROVED,
        "approver": approval.decided_by,
        "reason": approval.reason,
    }
    user, _, password = os.environ.get(AUTH_VARIABLE, "").partition(":")
    try:
        response = httpx.post(
            f"{url.rstrip('/')}/flow_runs/{approval.flow_run}/resume",
            json={"run_input": form},
            auth=(user, password) if user else None,
            timeout=TIMEOUT_S,
        )
        response.raise_for_status()
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        return f"the janitor resumes flow run {approval.flow_run} ({error})"
    if answer.get("status") != "ACCEPT":
        reason = (answer.get("details") or {}).get("reason") or answer.get("status")
        return f"flow run {approval.flow_run} does not resume: {reason}"
    return f"flow run {approval.flow_run} continues"
