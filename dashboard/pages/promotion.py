"""Promotion: candidates and gates, history of champions, and what people may do about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from dashboard import charts, frames, promotion_frames, text, url_state
from dashboard.access import Access, read_access, show_login
from dashboard.actions import ACTIONS, ActionRequest
from dashboard.cached_queries import RegistryView
from dashboard.figure import show_figure, show_table
from dashboard.palette import current_palette
from dashboard.promotion_frames import Reign, find_reigns
from registry.approvals import Approval
from registry.errors import NeedsEvaluation, NotPromoted, RegistryError
from registry.history import DECISIONS, EventKind
from registry.interventions import MAX_TEXT
from registry.policy import Policy
from registry.policy_file import load_model_policy
from registry.promotion import PromotionReport
from registry.query.search import VersionQuery
from registry.store import Registry
from registry.version_summary import VersionSummary

PAGE_SIZE = 20
MAX_DECISIONS = 200
_MESSAGE = "action_message"
_CANDIDATES = "state = 'registered' and not partial"


def show(view: RegistryView, model: str) -> None:
    """Show candidates and gates, open requests, the form of the actions, and the history."""
    if _MESSAGE in st.session_state:
        st.success(text.escape(st.session_state.pop(_MESSAGE)))
    policy = view.read(model_policy, model)
    reigns = _read_reigns(view, model)
    champion = next((reign.version for reign in reigns[:1] if reign.end is None), None)
    _show_candidates(view, model, policy, champion)
    _show_requests(view.read(list_requests, model))
    _show_actions(view, model, read_access(policy.promoters))
    _show_history(view, model, reigns)


def model_policy(registry: Registry, model: str) -> Policy:
    """Return the promotion rules of a model."""
    return load_model_policy(registry.policy_path, model)


def list_requests(registry: Registry, model: str) -> Sequence[Approval]:
    """Return the requests of a model for approval, oldest first."""
    return registry.approvals.list(model)


def _read_reigns(view: RegistryView, model: str) -> Sequence[Reign]:
    kinds = [EventKind.PROMOTED, EventKind.ROLLED_BACK, EventKind.REJECTED]
    return find_reigns(view.read(Registry.history, model, kinds=kinds))


def _show_candidates(view: RegistryView, model: str, policy: Policy, champion: int | None) -> None:
    st.header("Which candidate passes which gate?", anchor=False)
    versions = _choose_candidates(view, model)
    if not versions:
        st.info(
            "There is no candidate: no version with a complete evaluation is registered. "
            "`flanmoe run` registers one; the switch shows the others."
        )
        return
    verdicts = view.read(Registry.last_verdicts, model, [version.version for version in versions])
    cells = promotion_frames.gate_cells(versions, verdicts)
    if cells.empty:
        st.info(
            "The gates of these versions were not asked yet; the button *Ask the gates* below "
            "asks, and `flanmoe registry promote VERSION --dry-run` does the same."
        )
        return
    table = promotion_frames.candidates_table(
        versions, verdicts, champion=champion, policy_sha256=policy.sha256
    )
    show_table(
        table,
        name="candidates-and-gates",
        alternative="Candidates with the result, the value and the limit of every gate",
        column_config={"candidate": st.column_config.TextColumn(pinned=True)},
    )
    st.markdown(
        "✓ passes, ✗ fails, – has no result; behind it the value and the limit of the gate. Seeds "
        "of a recipe are tested together, so a verdict is stored for one of them."
    )
    palette = current_palette()
    show_figure(
        charts.gate_map(cells, palette),
        cells,
        name="gates",
        alternative="Result of every gate for every candidate",
        reading="Each column is a candidate and each row a gate of the last stored verdict; a "
        "version is promoted if its column has no ✗. *Help* and the page *Version* explain the "
        "gates.",
        palette=palette,
    )


def _choose_candidates(view: RegistryView, model: str) -> Sequence[VersionSummary]:
    """Let the user choose a page of the candidates, newest first."""
    with_all = url_state.switch(
        "Show partial, archived and rejected versions too",
        key="all",
        help_text="By default a candidate is a registered version with a complete evaluation.",
    )
    where = "" if with_all else _CANDIDATES
    query = VersionQuery(where=where, model=model, limit=PAGE_SIZE)
    page = view.read(Registry.search, query)
    offset = url_state.choose_page(page.num_matches, PAGE_SIZE)
    if offset:
        page = view.read(Registry.search, replace(query, offset=offset))
    return page.versions


def _show_requests(requests: Sequence[Approval]) -> None:
    st.header("What waits for approval?", anchor=False)
    if not any(request.is_open for request in requests):
        st.markdown("No promotion waits for approval.")
    for request in requests:
        if request.is_open:
            replaced = "no version" if request.champion is None else f"version {request.champion}"
            st.markdown(
                f"**Version {request.version}** would replace {replaced}: requested by "
                f"{text.escape(request.requested_by)} at {request.requested_at:%Y-%m-%d %H:%M} "
                f"UTC, expires {request.expires_at:%Y-%m-%d %H:%M} UTC."
            )
    if requests:
        with st.expander(f"All requests: {len(requests)}"):
            show_table(
                promotion_frames.requests_table(requests),
                name="approvals",
                alternative="Requests for approval and their decisions, newest first",
            )


def _show_actions(view: RegistryView, model: str, access: Access) -> None:
    st.header("What do I do about it?", anchor=False)
    if access.obstacle:
        st.info(
            f"This page is read-only. {text.escape(access.obstacle)} To act here, a person logs in "
            "and is listed by name in promoters.people of the policy. The command below does the "
            "same."
        )
    else:
        st.markdown(f"You act as {text.escape(access.account)}.")
    show_login(access)
    newest = next(entry.newest for entry in view.read(Registry.models) if entry.name == model)
    columns = st.columns(2)
    with columns[0]:
        name = url_state.choose("Action", list(ACTIONS), key="action")
    with columns[1]:
        number = url_state.choose_number("Version", key="version", default=newest)
    action = ACTIONS[name]
    st.markdown(action.explanation)
    st.code(action.describe_command(model, number), language=None)
    with st.form("action"):
        reason = st.text_input(
            "Reason",
            key="action-reason",
            max_chars=MAX_TEXT,
            help="Recorded in the history.",
            disabled=bool(access.obstacle),
        )
        is_confirmed = st.form_submit_button(
            f"{name.capitalize()}: version {number}",
            type="primary",
            disabled=bool(access.obstacle),
            help=text.escape(access.obstacle) if access.obstacle else None,
        )
    if is_confirmed and not access.obstacle:
        request = ActionRequest(model=model, version=number, actor=access.account, reason=reason)
        _perform(view.registry, name, request)
    _show_preview(view, model, number)


def _perform(registry: Registry, name: str, request: ActionRequest) -> None:
    """Make a change under the name of a person, and show the page again."""
    if ACTIONS[name].needs_reason and not request.reason.strip():
        st.error(f"{name}: the reason is empty; say why, as the history records it")
        return
    try:
        message = ACTIONS[name].perform(registry, request)
    except RegistryError as error:
        st.error(text.escape(str(error)))
        if isinstance(error, NeedsEvaluation):
            st.markdown("The command above evaluates them on the same items first.")
        if isinstance(error, NotPromoted):
            _show_report(error.report, name="refusal")
        return
    st.session_state[_MESSAGE] = message
    st.rerun()


def _show_preview(view: RegistryView, model: str, number: int) -> None:
    """Show on a button what the gates would decide; nothing is changed."""
    is_chosen = st.button(
        f"Ask the gates of version {number}",
        help="Reads and verifies the files of the version, which can take a while; changes "
        "nothing.",
    )
    if not is_chosen:
        return
    report = view.registry.preview(
        model, number
    )  # files may change without a change of the registry
    reason = text.escape(report.reason)
    st.markdown(f"Version {number} now: **{report.outcome.value}**, {reason}.")
    _show_report(report, name="preview")


def _show_report(report: PromotionReport, *, name: str) -> None:
    if report.gates:
        show_table(
            frames.gate_results_table(report.gates),
            name=name,
            alternative=f"Gates of version {report.version} with their values and limits",
        )


def _show_history(view: RegistryView, model: str, reigns: Sequence[Reign]) -> None:
    st.header("What was decided before?", anchor=False)
    verifications = view.read(Registry.history, model, limit=50, kinds=[EventKind.VERIFIED])
    st.markdown(promotion_frames.describe_verifications(verifications))
    if not reigns:
        st.markdown("No version was ever champion.")
    else:
        show_table(
            promotion_frames.reigns_table(reigns),
            name="champions",
            alternative="Champions with their time, newest first",
        )
    entries = view.read(Registry.history, model, limit=MAX_DECISIONS, kinds=DECISIONS)
    if entries:
        with st.expander(f"Decisions: the last {len(entries)}"):
            show_table(
                frames.changes_table(reversed(entries)),
                name="decisions",
                alternative="Decisions about versions, newest first",
            )
