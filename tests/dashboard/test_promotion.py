"""The page Promotion: candidates and gates, history, and actions of people who are logged in."""

import json
from datetime import timedelta
from importlib.util import find_spec

import pytest

from dashboard.access import CLAIM_VARIABLE
from dashboard.flow_runs import resume_flow_run
from registry.gates.names import CONDITIONS
from registry.store import Registry
from tests.dashboard.factories import HOSTILE, open_page, plain, table_with, texts
from tests.http_server import QuietHandler, serve_requests
from tests.registry.factories import write_policy

FLOW_RUN = "0b5f1c1e-0000-4000-8000-000000000001"
ANN = {"is_logged_in": True, "email": "ann", "email_verified": True}


def allow(project, *people, **sections):
    """Write a policy by which these people may act."""
    data = {"allow_unrecorded": True}
    write_policy(project.folder, data=data, promoters={"people": list(people)}, **sections)


def request_approval(project, version=1, **arguments):
    registry = Registry.open(project.folder)
    registry.approvals.request(
        "m", version, actor="flow:promotion", valid_for=timedelta(days=7), **arguments
    )
    return registry


def open_promotion(user=ANN, **parameters):
    return open_page("promotion", user=user, **parameters)


def act(name, version, *, reason="read 50 answers", user=ANN):
    """Choose an action, and press its button."""
    page = open_promotion(user, action=name, version=str(version))
    page.text_input(key="action-reason").input(reason)
    button = f"{name.capitalize()}: version {version}"
    next(entry for entry in page.button if entry.label == button).click()
    page.run()
    assert not page.exception
    return page


@pytest.fixture
def prefect():
    """A server in the place of Prefect's; yields its URL, the requests, and the next answer."""
    requests, answer = [], {"status": "ACCEPT"}

    class ResumeHandler(QuietHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append((self.path, self.headers.get("Authorization"), body))
            self.send_response(answer.get("code", 200))
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

    with serve_requests(ResumeHandler) as url:
        yield f"{url}/api", requests, answer


def test_candidates_have_the_gates_of_the_command(project):
    project.register("smoke", [0.9], partial=True)
    page = open_promotion()
    table = table_with(page, "candidate")
    assert list(table["candidate"]) == ["★ moe v2", "dense v1"]
    shown = json.loads(project.command("registry", "show", "2", "--json"))["verdicts"][-1]
    row = table.iloc[0]
    assert row["outcome"] == shown["outcome"] == "promoted"
    for gate in shown["gates"]:
        numbers = [f"{n:.4g}" for n in (gate["value"], gate["limit"]) if n is not None]
        assert row[gate["name"]] == f"✓ {' / '.join(numbers)}".strip()
    assert set(table.columns[4:]) <= set(CONDITIONS)
    assert table.iloc[1]["outcome"] == "not asked"
    assert set(table.iloc[1][4:]) == {"–"}
    everything = table_with(open_promotion(all="true"), "candidate")
    assert list(everything["candidate"]) == ["smoke v3", "★ moe v2", "dense v1"]


def test_verdicts_against_an_earlier_champion_or_policy_are_out_of_date(project):
    project.register("rival", [0.61, 0.79])
    assert project.open().promote("m", 3, actor="test").outcome == "unchanged"
    row = table_with(open_promotion(), "candidate").iloc[0]
    assert row["basis"].endswith("against v2")
    assert any(cell.startswith("✗") for cell in row[4:])
    project.register("best", [0.99, 0.99])
    project.open().promote("m", 4, actor="test")
    allow(project, "ann", comparison={"margin": 0.02})
    table = table_with(open_promotion(), "candidate")
    why = "out of date: the champion is another now and the policy is another now"
    assert table.iloc[1]["basis"].endswith(f"against v2; {why}")
    assert table.iloc[0]["basis"].endswith("out of date: the policy is another now")


def test_gates_with_numbers_that_are_not_finite_are_shown(project):
    engine = project.open().engine
    gates = [
        {"name": "enough_items", "passed": False, "detail": HOSTILE, "value": None, "limit": 200},
        {"name": HOSTILE, "passed": True, "detail": "", "value": None, "limit": None},
    ]
    with engine.begin() as connection:
        version = connection.exec_driver_sql(
            "SELECT v.id, e.id FROM versions v JOIN evaluations e ON e.version_id = v.id "
            "WHERE v.number = 1"
        ).one()
        text = json.dumps(gates).replace('"value": null, "limit": 200', '"value": NaN, "limit": 1')
        connection.exec_driver_sql(
            "INSERT INTO gate_verdicts (version_id, evaluation_id, candidate_evaluations, "
            "champion_evaluations, policy_sha256, outcome, alpha_spent, gates, actor, at) "
            "VALUES (?, ?, '[]', '[]', '', 'refused', 0, ?, ?, '2026-01-01 00:00:00')",
            (*version, text, HOSTILE),
        )
        connection.exec_driver_sql(
            "INSERT INTO events (model_id, version_id, kind, actor, reason, details, at) "
            "VALUES (1, ?, 'pinned', ?, ?, '{}', '2026-01-01 00:00:00')",
            (version[0], HOSTILE, HOSTILE),
        )
    page = open_promotion()
    row = table_with(page, "candidate").iloc[1]
    assert row["enough_items"] == "✗ not finite / 1"
    assert "<script>" not in texts(page)


def test_history_has_reigns_decisions_and_the_last_verification(project):
    assert "never verified" in texts(open_promotion())
    list(project.open().verify(actor="flow:janitor"))
    project.register("best", [0.99, 0.99])
    project.open().promote("m", 3, actor="ann")
    project.open().roll_back("m", actor="bob", reason="wrong answers")
    page = open_promotion()
    assert "`registry verify` last held on 2" in texts(page)
    assert "2 versions, 0 faults" in plain(texts(page))
    reigns = table_with(page, "until (UTC)")
    assert list(reigns["champion"]) == ["★ moe v2", "best v3", "moe v2"]
    assert list(reigns["until (UTC)"] == "now") == [True, False, False]
    assert list(reigns["by"]) == ["bob", "ann", "test"]
    decisions = table_with(page, "change")
    assert list(decisions["change"][:2]) == ["rolled back", "rejected"]
    assert "registered" not in set(decisions["change"])


def test_a_fault_that_verify_finds_is_shown_with_the_last_time_without_a_fault(project):
    registry = project.open()
    list(registry.verify(actor="ann"))
    file = registry.artifacts.file(registry.show("m", 1).artifact, "run.json")
    file.chmod(0o640)
    file.write_bytes(bytes(file.stat().st_size))
    list(registry.verify(actor="ann"))
    shown = texts(open_promotion())
    assert "`registry verify` does not hold" in shown
    assert "it last held on 2" in shown


READ_ONLY = [
    ({}, "No login is set up"),
    ({"is_logged_in": False}, "No login is set up"),
    ({"is_logged_in": "true", "email": "ann"}, "No login is set up"),
    ({**ANN, "email": "eve"}, "'eve' may look, but not act: promoters.people of the policy does"),
    ({**ANN, "email": "*"}, "'*' is the name of a program, or of everybody"),
    ({**ANN, "email": "flow"}, "'flow' is the name of a program, or"),
    ({**ANN, "email": "flow:promotion"}, "'flow:promotion' is the name of a program, or"),
    ({**ANN, "email_verified": False}, "has not verified this e-mail address"),
    ({"is_logged_in": True, "sub": "ann"}, "no usable claim 'email'"),
    ({"is_logged_in": True, "email": 7}, "no usable claim 'email'"),
    ({"is_logged_in": True, "email": "a" * 201}, "no usable claim 'email'"),
]  # fmt: skip


def test_page_is_read_only_for_everybody_else(project):
    allow(project, "ann", "flow", "flow:promotion", "*")
    before = project.open().revision()
    for user, reason in READ_ONLY:
        page = open_promotion(user, action="reject", version="1")
        assert reason in plain(page.info[-1].value)
        assert "listed by name in promoters.people" in page.info[-1].value
        assert page.code[0].value == 'flanmoe registry reject 1 --reason "…" --model m'
        assert next(entry for entry in page.button if entry.label.startswith("Reject")).disabled
    assert project.open().revision() == before


def test_a_person_whom_the_policy_no_longer_lists_changes_nothing(project):
    allow(project, "ann")
    before = project.open().revision()
    page = open_promotion(action="reject", version="1")
    page.text_input(key="action-reason").input("an earlier page")
    button = next(entry for entry in page.button if entry.label.startswith("Reject"))
    allow(project, "bob")
    button.click()
    page.run()
    assert "'ann' may look, but not act" in plain(page.info[-1].value)
    assert project.open().revision() == before


def test_login_needs_its_package(project, monkeypatch):
    page = open_promotion({}, secrets={"auth": {"client_id": "x"}})
    if find_spec("authlib") is None:
        assert "pip install 'flanmoe[login]'" in plain(page.info[-1].value)
        monkeypatch.setattr("dashboard.access.find_spec", lambda name: name)
        page = open_promotion({}, secrets={"auth": {"client_id": "x"}})
    assert "Nobody is logged in" in plain(page.info[-1].value)
    next(entry for entry in page.button if entry.label == "Log in").click()
    page.run()
    assert "it needs redirect_uri, cookie_secret" in page.error[0].value


def test_account_is_the_claim_of_the_params(project, monkeypatch):
    monkeypatch.setenv(CLAIM_VARIABLE, "preferred_username")
    allow(project, "bob")
    page = open_promotion({**ANN, "preferred_username": "bob"})
    assert "You act as \u2068bob\u2069." in texts(page)
    assert next(entry.label for entry in page.button) == "Log out"


def test_every_action_changes_what_its_command_changes_under_the_name_of_the_person(project):
    allow(project, "ann")
    registry = project.open()
    act("reject", 1)
    act("reinstate", 1)
    act("pin", 2)
    project.register("best", [0.99, 0.99])
    assert "pinned" in plain(act("promote", 3).error[0].value)
    act("unpin", 2)
    page = act("promote", 3)
    assert plain(page.success[0].value) == "Version 3 is champion: all gates passed"
    assert "version 3, not 2" in plain(act("roll back", 2).error[0].value)
    page = act("roll back", 3)
    message = "Version 3 is rejected; version 2 is champion again"
    assert plain(page.success[0].value) == message
    entries = [e for e in registry.history("m") if e.actor == "ann" and e.kind != "refused"]
    assert [(entry.kind.value, entry.version) for entry in entries] == [
        ("rejected", 1), ("reinstated", 1), ("pinned", 2), ("unpinned", 2), ("demoted", 2),
        ("promoted", 3), ("rejected", 3), ("rolled back", 2),
    ]  # fmt: skip
    assert entries[0].reason == "read 50 answers"


def test_refused_promotion_shows_its_gates_and_an_override_its_reason(project):
    allow(project, "ann")
    project.register("worse", [0.5, 0.5])
    page = act("promote", 3)
    assert "FAIL" in set(table_with(page, "condition")["result"])
    assert project.open().champion("m").version == 2
    assert "the reason is empty; say why" in plain(
        act("promote although gates fail", 3, reason=" ").error[0].value
    )
    page = act("promote although gates fail", 3, reason="needed today")
    assert plain(page.success[0].value) == "Version 3 is champion: override: needed today"


def test_preview_needs_no_login_and_changes_nothing(project):
    project.register("rival", [0.61, 0.79])
    before = project.open().revision()
    page = open_promotion({}, version="3")
    next(entry for entry in page.button if entry.label.startswith("Ask the gates")).click()
    page.run()
    result = project.command("registry", "promote", "3", "--dry-run", "--json", code=3)
    expected = json.loads(result)
    assert list(table_with(page, "condition")["gate"]) == [g["name"] for g in expected["gates"]]
    assert f"Version 3 now: **{expected['outcome']}**" in texts(page)
    assert project.open().revision() == before


def test_page_has_few_queries_and_no_write_lock(project, statements):
    for version in (1, 2):
        project.register(f"run{version}", [0.6, 0.7])
    registry = request_approval(project)
    registry.approvals.decide("m", 1, approve=False, actor="ann", reason="wrong dates")
    request_approval(project, 3)
    with statements() as executed:
        open_promotion()
    selects = [line for line in executed if line.startswith("SELECT")]
    assert 3 < len(selects) <= 10
    assert {*executed} - {*selects} <= {"BEGIN"}


def test_approvals_without_a_request_say_so(project):
    for path in ("promotion", "decision"):
        assert "No promotion waits for approval." in texts(open_page(path))


def test_approval_without_a_flow_run_is_recorded_and_promotes(project):
    allow(project, "ann")
    project.register("moe_long", [0.85, 0.95], run={"is_moe": True})
    registry = request_approval(project)
    assert "Waiting for approval: 1 (v1)." in texts(open_page("decision"))
    assert "**Version 1** would replace version 2: requested" in texts(open_promotion())
    message = plain(act("approve", 1, reason=" ").error[0].value)
    assert "the reason is empty; say why" in message
    assert [a.state for a in registry.approvals.list()] == ["requested"]

    page = act("decline", 1)
    assert plain(page.success[0].value) == "Promotion of version 1 is declined; it stays registered"
    (approval,) = registry.approvals.list()
    assert (approval.state, approval.decided_by, approval.reason) == (
        "declined", "ann", "read 50 answers",
    )  # fmt: skip
    assert list(table_with(page, "decided by")["state"]) == ["declined"]

    request_approval(project, 3)
    page = act("approve", 3)
    assert plain(page.success[0].value).startswith("Promotion of version 3 is approved; ")
    assert registry.champion("m").version == 3
    assert registry.history("m")[-1].actor == "ann"


def test_approval_resumes_the_flow_run_that_waits(project, prefect, monkeypatch):
    url, requests, _ = prefect
    monkeypatch.setenv("PREFECT_API_URL", f"{url}/")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "operator:secret")
    allow(project, "ann")
    request_approval(project, flow_run=FLOW_RUN)
    page = act("approve", 1)
    message = f"Promotion of version 1 is approved; flow run {FLOW_RUN} continues"
    assert plain(page.success[0].value) == message
    form = {"approve": True, "approver": "ann", "reason": "read 50 answers"}
    ((path, authorization, body),) = requests
    assert (path, body) == (f"/api/flow_runs/{FLOW_RUN}/resume", {"run_input": form})
    assert authorization == "Basic b3BlcmF0b3I6c2VjcmV0"  # of operator:secret


def test_decision_stays_recorded_if_the_flow_run_cannot_be_resumed(project, prefect, monkeypatch):
    url, _, answer = prefect
    registry = request_approval(project, flow_run=FLOW_RUN)
    decided = registry.approvals.decide("m", 1, approve=False, actor="ann", reason="wrong dates")
    janitor = f"the janitor resumes flow run {FLOW_RUN}"
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert resume_flow_run(decided) == f"{janitor} (PREFECT_API_URL is not set)"
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert resume_flow_run(decided).startswith(f"{janitor} (")
    monkeypatch.setenv("PREFECT_API_URL", url)
    answer["code"] = 401
    assert "401" in resume_flow_run(decided)
    answer |= {"code": 200, "status": "REJECT", "details": {"reason": "not paused"}}
    assert resume_flow_run(decided) == f"flow run {FLOW_RUN} does not resume: not paused"
