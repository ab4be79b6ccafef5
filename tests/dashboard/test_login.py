"""Acting on the page Promotion after a login with a real provider, in Chromium."""

import shutil

import pytest

from flows.runtime.ports import free_port
from tests.browser import TIMEOUT_MS, browser_test, serve_dashboard
from tests.dashboard.conftest import ShownProject, add_two_versions
from tests.dashboard.login_provider import CLIENT_ID, CLIENT_SECRET, login_provider
from tests.factories import ROOT
from tests.registry.factories import write_policy

pytestmark = [pytest.mark.process, pytest.mark.browser]
PERSON = "ann@example.org"


@pytest.fixture
def team(tmp_path):
    """A project with two versions, whose policy lists a person by e-mail address."""
    folder = tmp_path / "team"
    write_policy(folder, data={"allow_unrecorded": True}, promoters={"people": ["test", PERSON]})
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, folder)
    return add_two_versions(ShownProject(folder))


def write_secrets(folder, port, provider):
    secrets = folder / ".streamlit" / "secrets.toml"
    secrets.parent.mkdir()
    secrets.write_text(
        f"""[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "a text of at least thirty-two characters"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "{provider}/.well-known/openid-configuration"
"""
    )


def press(page, name, port):
    """Press the button that logs in or out; both lead to the first page."""
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"http://127.0.0.1:{port}/")
    page.get_by_text("As of 2").first.wait_for()


@browser_test
def test_person_logs_in_and_acts_by_the_policy(team, chromium):
    claims = {"email": "eve@example.org", "email_verified": True}
    port = free_port()
    with login_provider(claims) as provider:
        write_secrets(team.folder, port, provider)
        with serve_dashboard(team.folder, port):
            page = chromium.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            address = f"http://127.0.0.1:{port}/promotion"

            # Nobody is logged in: the page is read-only.
            page.goto(f"{address}?action=roll back&version=2")
            page.get_by_text("Nobody is logged in.").wait_for()
            assert page.get_by_role("button", name="Roll back: version 2").is_disabled()

            # A person whom the policy does not list may look only.
            press(page, "Log in", port)
            page.goto(f"{address}?action=roll back&version=2")
            page.get_by_text("may look, but not act").wait_for()
            assert page.get_by_role("button", name="Roll back: version 2").is_disabled()
            press(page, "Log out", port)

            # A person whom it lists decides under that name, and must say why.
            claims["email"] = PERSON
            page.goto(address)
            press(page, "Log in", port)
            page.goto(f"{address}?action=roll back&version=2")
            page.get_by_text("You act as").filter(has_text=PERSON).wait_for()
            page.get_by_role("button", name="Roll back: version 2").click()
            page.get_by_text("the reason is empty").wait_for()
            page.get_by_role("textbox", name="Reason").fill("wrong dates")
            page.get_by_role("button", name="Roll back: version 2").click()
            page.get_by_text("Version 2 is rejected").wait_for()
            page.close()
    event = team.open().history("m", limit=1)[0]
    assert (event.version, event.actor, event.reason) == (2, PERSON, "rollback: wrong dates")
    assert not team.open().versions()[1].is_champion
