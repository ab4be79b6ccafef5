"""Resume the flow run that waits for a decision about a version."""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

from flows.errors import ServerError
from registry.approvals import Approval, ApprovalState


def resume_promotion(approval: Approval) -> bool:
    """Resume the run that requested an approval, if it is suspended; a worker continues it.

    Args:
        approval: the request, decided or expired.

    Returns:
        Whether a run was resumed.

    Raises:
        ServerError: the Prefect server rejects it.
    """
    run_id = UUID(approval.flow_run)
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(run_id).state
        except ObjectNotFound:
            return False
        if state is None or not state.is_paused():
            return False
        result = client.resume_flow_run(
            run_id,
            run_input={
                "approve": approval.state == ApprovalState.APPROVED,
                "approver": approval.decided_by,
                "reason": approval.reason,
            },
        )
    if result.status.value != "ACCEPT":
        raise ServerError(
            f"flow run {run_id} of version {approval.version} does not resume: "
            f"{getattr(result.details, 'reason', result.status.value)}"
        )
    return True
