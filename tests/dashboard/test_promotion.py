"""The page Approvals: open requests are decided there, by the people whom the policy lists."""

import json
from datetime import timedelta

import pytest

from dashboard.flow_runs import resume_flow_run
from registry.store import Registry
from tests.dashboard.factories import open_page, plain, texts
from tests.http_server import QuietHandler, serve_requests
from tests.registry.factories import write_policy

FLOW_RUN = "0b5f1c1e-0000-4000-8000-000000000001"


def request_approval(project, version=1, **arguments):
    registry = Registry.open(project.folder)
    registry.approvals.request(
        "m", version, actor="flow:promotion", valid_for=timedelta(days=7), **arguments
    )
    return registry


def decide(page, button, *, person="ann", reason="read 50 answers"):
    """Fill in the form and press a button."""
    texts = {text.label: text for text in page.text_input}
    texts["Account name"].input(person)
    texts["Reason"].input(reason)
    next(b for b in page.button if b.label == button).click()
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


def test_approvals_without_a_request_say_so(project):
    for path in ("approvals", "decision"):
        assert "No promotion waits for approval." in texts(open_page(path))


def test_approval_without_a_flow_run_is_recorded_and_promotes(project):
    write_policy(project.folder, data={"allow_unrecorded": True}, promoters={"people": ["ann"]})
    project.register("moe_long", [0.85, 0.95], run={"is_moe": True})
    registry = request_approval(project)
    assert "Waiting for approval: 1 (v1)." in texts(open_page("decision"))
    page = open_page("approvals")
    assert "**Version 1** would replace version 2." in [text.value for text in page.markdown]

    decide(page, "Approve", person="eve")
    assert "'eve' may not approve: promoters.people of the policy lists ann" in plain(
        page.error[0].value
    )
    decide(page, "Approve", reason=" ")
    assert "a decision needs a person and a reason" in plain(page.error[0].value)
    assert [a.state for a in registry.approvals.list()] == ["requested"]

    decide(page, "Decline")
    assert plain(page.success[0].value) == "Promotion of version 1 is declined; it stays registered"
    (approval,) = registry.approvals.list()
    assert (approval.state, approval.decided_by, approval.reason) == (
        "declined", "ann", "read 50 answers",
    )  # fmt: skip
    table = next(d.value for d in page.dataframe if "decided_by" in d.value)
    assert list(table["state"]) == ["declined"]
    assert registry.champion("m").version == 2

    request_approval(project, 3)
    decide(page.run(), "Approve")
    assert plain(page.success[0].value).startswith("Promotion of version 3 is approved; ")
    assert registry.champion("m").version == 3
    assert registry.history("m")[-1].actor == "ann"


def test_approval_resumes_the_flow_run_that_waits(project, prefect, monkeypatch):
    url, requests, _ = prefect
    monkeypatch.setenv("PREFECT_API_URL", f"{url}/")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "operator:secret")
    request_approval(project, flow_run=FLOW_RUN)
    page = decide(open_page("approvals"), "Approve")
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
