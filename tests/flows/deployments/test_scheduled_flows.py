"""`data_refresh` and `retrain_if_changed` on a finished project, in which nothing changed."""

import json
import shutil

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.deployments import drift
from flows.deployments.data_refresh import data_refresh
from flows.deployments.events import FlanmoeEvent
from flows.deployments.retrain_if_changed import retrain_if_changed

pytestmark = [pytest.mark.process, pytest.mark.e2e]


def test_scheduled_flows_compare_the_data_and_train_nothing(
    finished_copy, prefect_server, monkeypatch
):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    events = []
    monkeypatch.setattr(drift, "emit", lambda event, *_, **payload: events.append((event, payload)))
    folder = finished_copy.folder
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        state = retrain_if_changed(folder, return_state=True)
        assert (state.name, state.message) == (
            "Unchanged", "data, parameters and code are unchanged",
        )  # fmt: skip
        for file in (folder / ".flanmoe").glob("registry.db*"):  # nothing is registered yet
            file.unlink()
        shutil.rmtree(folder / ".flanmoe" / "artifacts")
        state = data_refresh(folder, return_state=True)
        assert state.is_completed(), state.message
        assert "is the first: nothing to compare with" in state.message

        profile = folder / drift.PROFILE
        earlier = json.loads(profile.read_text())
        earlier["data_version"] = "earlier"
        for mixture in earlier["mixtures"].values():
            mixture["inputs"]["mean"] *= 3
        profile.write_text(json.dumps(earlier))
        state = data_refresh(folder, return_state=True)
    assert state.is_completed()
    assert "drifted: " in state.message
    ((event, payload),) = events
    assert event == FlanmoeEvent.DATA_DRIFTED
    assert payload["drifts"]
