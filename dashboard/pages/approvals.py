"""Approvals: the promotions that wait for a person, and the decisions about earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import text
from dashboard.cached_queries import RegistryView
from dashboard.flow_runs import resume_flow_run
from registry.approvals import Approval
from registry.errors import RegistryError
from registry.interventions import MAX_TEXT
from registry.store import Registry

USER_HEADER = "X-Forwarded-User"
"""Header in which a proxy with authentication passes the account name."""
_MESSAGE = "approval_message"


def show(view: RegistryView, model: str) -> None:
    """Show a form for each open request, and all requests of the model."""
    if _MESSAGE in st.session_state:
        st.success(text.escape(st.session_state.pop(_MESSAGE)))
    requests = view.read(list_requests, model)
    for request in requests:
        if request.is_open:
            _show_form(view.registry, request)
    if not any(request.is_open for request in requests):
        st.markdown("No promotion waits for approval.")
    if requests:
        _show_table(requests)


def list_requests(registry: Registry, model: str) -> Sequence[Approval]:
    """Return the requests of a model, oldest first."""
    return registry.approvals.list(model)


def _show_form(registry: Registry, request: Approval) -> None:
    with st.form(f"approval-{request.number}"):
        replaced = "no version" if request.champion is None else f"version {request.champion}"
        st.markdown(f"**Version {request.version}** would replace {replaced}.")
        st.markdown(
            f"Requested by {text.escape(request.requested_by)} at "
            f"{request.requested_at:%Y-%m-%d %H:%M} UTC, expires "
            f"{request.expires_at:%Y-%m-%d %H:%M} UTC."
        )
        account = st.context.headers.get(USER_HEADER, "")
        person = st.text_input("Account name", account, disabled=bool(account))
        reason = st.text_input("Reason", max_chars=MAX_TEXT, help="Recorded in the history.")
        columns = st.columns(2)
        is_approved = columns[0].form_submit_button("Approve", type="primary", width="stretch")
        is_declined = columns[1].form_submit_button("Decline", width="stretch")
    if is_approved or is_declined:
        _decide(registry, request, approve=is_approved, person=account or person, reason=reason)


def _decide(
    registry: Registry, request: Approval, *, approve: bool, person: str, reason: str
) -> None:
    """Record a decision, let the promotion continue, and show the page again."""
    try:
        decided = registry.approvals.decide(
            request.model, request.version, approve=approve, actor=person.strip(), reason=reason
        )
        message = f"Promotion of version {decided.version} is {decided.state}; "
        if decided.flow_run:
            message += resume_flow_run(decided)
        elif approve:
            report = registry.promote(decided.model, decided.version, actor=decided.decided_by)
            message += report.reason
        else:
            message += "it stays registered"
    except RegistryError as error:
        st.error(text.escape(str(error)))
        return
    st.session_state[_MESSAGE] = message
    st.rerun()


def _show_table(requests: Sequence[Approval]) -> None:
    frame = pd.DataFrame([request.to_dict() for request in reversed(requests)])
    frame["reason"] = [text.shorten(reason) for reason in frame["reason"]]
    st.dataframe(
        frame,
        hide_index=True,
        alt="Requests for approval and their decisions, newest first",
        column_order=("version", "state", "requested_at", "expires_at", "decided_by", "decided_at",
                      "reason"),
        column_config={
            **{
                name: st.column_config.DatetimeColumn(
                    name.replace("_", " "), format="YYYY-MM-DD HH:mm"
                )
                for name in ("requested_at", "expires_at", "decided_at")
            },
            "decided_by": st.column_config.TextColumn("decided by"),
        },
    )  # fmt: skip
