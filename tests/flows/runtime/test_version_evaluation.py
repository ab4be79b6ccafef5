"""Stored versions are evaluated on the present data, from their artifacts alone."""

import json
import shutil

import pytest
import yaml

from flows.errors import StageFailed
from flows.runtime.processes import ProcessGroups
from flows.runtime.promotion_evaluation import promote_after_evaluation
from flows.runtime.version_evaluation import FOLDER, evaluate_version
from models.evaluation.params import EvaluationParams
from registry.errors import DamagedArtifact, GateFailed, NeedsEvaluation
from registry.gates.result import GateOutcome
from registry.promotion import PromotionReport
from registry.store import Registry
from tests.factories import ROOT, error_line, invoke
from tests.models.evaluation.factories import write_eval_data
from tests.registry.factories import write_policy
from tests.registry.release_0_1_0 import copy_release_0_1_0

MODEL = "flan-sample"
PARAMS = EvaluationParams(suites=("sample",), max_new_tokens=4)
LENIENT = {
    "data": {"allow_unrecorded": True}, "evaluation": {"min_items": 1, "allow_partial": True},
}  # fmt: skip


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A project with the registry of release 0.1.0: version 2 is champion; and newer eval data."""
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    old = copy_release_0_1_0(tmp_path / "project")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, old.project / name)
    params = yaml.safe_load((old.project / "params.yaml").read_text())
    params["models"]["evaluation"]["suites"] = ["sample"]
    (old.project / "params.yaml").write_text(yaml.safe_dump(params))
    write_policy(old.project, **LENIENT)
    write_eval_data(old.project / "data" / "eval_data")
    return old


@pytest.mark.process
def test_promote_evaluates_champion_and_challenger_and_decides(old):
    """Each evaluation is a process: the champion's by hand, the challenger's by `promote`."""
    registry = Registry.open(old.project)
    before = registry.show(MODEL, 2)
    result = invoke("registry", "evaluate", 2, "--json", cwd=old.project)
    assert result.returncode == 0, result.stderr
    version = json.loads(result.stdout)
    assert version["num_evaluations"] == 2
    assert version["items_digest"] != before.items_digest
    assert version["evaluation"]["weights_sha256"] == before.run_record.weights_sha256
    # The workspace does not have the data that the version was trained on.
    assert version["num_contaminated"] is None
    assert version["evaluation"]["overlap_self_test"] is None
    assert registry.show(MODEL, 2).evaluation.accuracy == version["accuracy"]
    assert list((old.project / FOLDER).iterdir()) == []
    last = registry.history(MODEL)[-1]
    assert (last.kind, last.version) == ("evaluated", 2)

    dry = invoke("registry", "promote", 1, "--dry-run", cwd=old.project)
    assert dry.returncode == 4
    assert "needs an evaluation of version 2 first, which promote does: same_items" in dry.stdout
    with pytest.raises(NeedsEvaluation):
        registry.promote(MODEL, 1, actor="ann")
    result = invoke("registry", "promote", 1, cwd=old.project)
    assert result.returncode == 3, result.stdout + result.stderr
    assert "  passed  same_items: same items as version 2" in result.stdout
    assert "  FAILED  better_or_cheaper: version 1 is " in result.stdout
    assert registry.show(MODEL, 1).items_digest == registry.show(MODEL, 2).items_digest


def test_evaluate_without_data_or_with_damaged_weights_is_rejected(old):
    registry = Registry.open(old.project)
    arguments = (registry, MODEL, 2, PARAMS, old.project, ProcessGroups())
    for weights in old.artifacts:
        file = weights / "weights" / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DamagedArtifact, match=r"model\.safetensors"):
        evaluate_version(*arguments)
    shutil.rmtree(old.project / "data")
    with pytest.raises(StageFailed, match=r"eval_data is missing; run `flanmoe eval_data`"):
        evaluate_version(*arguments)
    line = error_line(invoke("registry", "evaluate", 2, cwd=old.project))
    assert line.startswith("error: evaluation of version 2 of 'flan-sample': ")
    assert registry.show(MODEL, 2).num_evaluations == 1


@pytest.mark.process
def test_failed_evaluation_names_its_cause_and_leaves_nothing(old):
    index = old.project / "data" / "eval_data" / "index.json"
    index.write_text("[]")
    registry = Registry.open(old.project)
    with pytest.raises(StageFailed, match=r"evaluation of version 2 of 'flan-sample': .*sample"):
        evaluate_version(registry, MODEL, 2, PARAMS, old.project, ProcessGroups())
    assert list((old.project / FOLDER).iterdir()) == []
    assert registry.show(MODEL, 2).num_evaluations == 1


def report(outcome, *other_items):
    return PromotionReport(
        version=5, outcome=outcome, reason="r", gates=(), other_items=other_items
    )


@pytest.mark.parametrize(
    ("decisions", "evaluated"),
    [
        (["promoted"], []),
        (["other", "promoted"], [1, 2]),
        (["other", "other", "promoted"], [1, 2, 5]),
    ],
)
def test_opponents_are_evaluated_first_then_the_version_itself(decisions, evaluated):
    remaining, calls = list(decisions), []

    def promote():
        if remaining.pop(0) == "other":
            raise NeedsEvaluation("other items", report(GateOutcome.NEEDS_EVALUATION, 1, 2))
        return report(GateOutcome.PROMOTED)

    assert promote_after_evaluation(promote, 5, calls.append).is_promoted
    assert calls == evaluated


def test_versions_that_stay_incomparable_are_reported():
    def promote():
        raise NeedsEvaluation("other items", report(GateOutcome.NEEDS_EVALUATION, 1))

    with pytest.raises(NeedsEvaluation, match="other items"):
        promote_after_evaluation(promote, 5, lambda number: None)


def test_refusal_is_not_followed_by_an_evaluation():
    def promote():
        raise GateFailed("bad data", report(GateOutcome.REFUSED))

    with pytest.raises(GateFailed, match="bad data"):
        promote_after_evaluation(promote, 5, lambda number: pytest.fail("evaluated"))
