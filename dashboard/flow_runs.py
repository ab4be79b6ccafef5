"""Resume the Prefect flow run that waits for a decision, over Prefect's HTTP API."""

from __future__ import annotations

import httpx

from dashboard import prefect_api
from registry.approvals import Approval, ApprovalState

TIMEOUT_S = 10.0


def resume_flow_run(approval: Approval) -> str:
    """Resume the run that requested an approval, and say how the promotion continues.

    The decision is in the registry: a run that cannot be resumed now is resumed by the janitor.

    Args:
        approval: the decided request.
    """
    janitor = f"the janitor resumes flow run {approval.flow_run}"
    if not prefect_api.api_url():
        return f"{janitor} ({prefect_api.API_VARIABLE} is not set)"
    form = {
        "approve": approval.state == ApprovalState.APPROVED,
        "approver": approval.decided_by,
        "reason": approval.reason,
    }
    path = f"flow_runs/{approval.flow_run}/resume"
    try:
        answer = prefect_api.post(path, {"run_input": form}, timeout_s=TIMEOUT_S)
    except (httpx.HTTPError, ValueError) as error:
        return f"{janitor} ({error})"
    if answer.get("status") != "ACCEPT":
        reason = (answer.get("details") or {}).get("reason") or answer.get("status")
        return f"flow run {approval.flow_run} does not resume: {reason}"
    return f"flow run {approval.flow_run} continues"
