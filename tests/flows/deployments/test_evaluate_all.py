"""`evaluate_all` evaluates every registered version whose items are not the present ones."""

import json
import shutil

import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed

from flows.config.load import load_params
from flows.deployments import evaluate_all as module
from flows.deployments.evaluate_all import evaluate_all, versions_on_other_items
from registry.store import Registry
from registry.tables import VersionState
from tests.factories import ROOT
from tests.flows.deployments.factories import MODEL, project_with_versions, registry_of
from tests.models.evaluation.factories import write_eval_data
from tests.registry.factories import evaluation_record, task_score, write_policy
from tests.registry.release_0_1_0 import copy_release_0_1_0


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A project with two versions that were evaluated on other items than its data has."""
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    old = copy_release_0_1_0(tmp_path / "project")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["models"]["evaluation"].update(suites=["sample"], max_new_tokens=4)
    (old.project / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copyfile(ROOT / "dvc.yaml", old.project / "dvc.yaml")
    write_policy(old.project, data={"allow_unrecorded": True}, evaluation={"min_items": 1})
    write_eval_data(old.project / "data" / "eval_data")
    return old


@pytest.mark.process
def test_evaluate_all_evaluates_stored_versions_and_names_those_it_cannot(
    old, prefect_server, monkeypatch
):
    """The pipeline, which evaluates the runs of the workspace, is replaced by its result."""
    folder = old.project / load_params(old.project / "params.yaml").models.replicates()[0].folder
    folder.mkdir(parents=True)
    record = evaluation_record("dense", [task_score("sample/a", accuracy=0.5)])
    (folder / "evaluation.json").write_text(json.dumps(record))
    calls = []

    def run_pipeline(workspace, **arguments):
        calls.append(arguments)
        return Completed()

    monkeypatch.setattr(module, "pipeline", run_pipeline)
    file = old.artifacts[0] / "weights" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    registry = Registry.open(old.project)
    before = registry.show(MODEL, 2)
    with temporary_settings({PREFECT_API_URL: prefect_server.url}):
        state = evaluate_all(old.project, return_state=True)
    assert calls == [{"promote": False, "return_state": True}]
    assert state.is_failed()
    assert state.message.startswith(f"version 1 of {MODEL!r} cannot be evaluated: ")
    assert "model.safetensors" in state.message
    after = registry.show(MODEL, 2)
    assert after.num_evaluations == before.num_evaluations + 1
    assert after.items_digest != before.items_digest
    assert after.is_champion == before.is_champion
    assert registry.show(MODEL, 1).num_evaluations == 1


def test_versions_on_other_items_leave_out_present_items_and_rejected_versions(tmp_path):
    project = project_with_versions(tmp_path / "p", 0.5, 0.6, 0.7, 0.8)
    registry = registry_of(project)
    registry.reject(MODEL, 1, actor="tester", reason="wrong dates")
    registry.promote(MODEL, 2, actor="tester")
    registry.promote(MODEL, 4, actor="tester")
    present = registry.show(MODEL, 3).items_digest
    assert [version.state for version in registry.versions(MODEL)] == [
        VersionState.REJECTED, VersionState.ARCHIVED, VersionState.REGISTERED,
        VersionState.REGISTERED,
    ]  # fmt: skip
    assert versions_on_other_items(registry, MODEL, present) == []
    assert versions_on_other_items(registry, MODEL, "0" * 12) == [3, 4]
