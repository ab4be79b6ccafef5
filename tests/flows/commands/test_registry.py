"""`flanmoe registry` on a finished project."""

import json

import pytest

pytestmark = pytest.mark.e2e


def test_list_json_has_scores_costs_and_stages(finished):
    versions = json.loads(finished.project.invoke("registry", "list", "--json").stdout)
    assert [version["name"] for version in versions] == ["moe_instruct", "moe_base"]
    for version in versions:
        assert version["total_parameters"] > version["active_parameters"] > 0
        assert version["flops_per_token"] > 0
        assert 0 <= version["accuracy"] <= 1
        assert version["standard_error"] >= 0
        assert version["seed"] == 0
    assert sorted(version["aliases"] for version in versions) == [[], ["champion"]]
    assert {version["state"] for version in versions} == {"registered"}


def test_list_show_and_history_are_tables(finished):
    listed = finished.project.invoke("registry", "list").stdout
    assert "moe_instruct" in listed
    assert "champion" in listed
    shown = finished.project.invoke("registry", "show", "2").stdout
    assert "eval_data/sample/qa_what.jsonl" in shown
    assert "sample: zero-shot on the rule families" in shown
    version = json.loads(finished.project.invoke("registry", "show", "2", "--json").stdout)
    evaluation, licences = version["evaluation"], version["run_record"]["licences"]
    assert f"licences of the training data: {len(licences)} open\n" in shown
    test = evaluation["overlap_self_test"]
    assert (
        f"evaluated in float32 on cpu; contaminated items: {evaluation['num_contaminated']} of "
        f"{evaluation['num_items']} (contamination check: recall {test['min_recall']:.3f} and "
        f"precision {test['precision']:.4f} on planted overlaps)\n"
    ) in shown
    assert "override: for the tests" in finished.project.invoke("registry", "history").stdout


def test_promote_failed_gate_needs_an_override(finished_copy):
    versions = json.loads(finished_copy.invoke("registry", "list", "--json").stdout)
    number = next(v["version"] for v in versions if not v["aliases"])
    refused = finished_copy.invoke("registry", "promote", number)
    assert refused.returncode in (3, 4)
    assert "  FAILED  " in refused.stdout
    words = ("registry", "promote", number, "--override", "trying", "--json")
    assert json.loads(finished_copy.invoke(*words).stdout)["outcome"] == "promoted"
    history = json.loads(finished_copy.invoke("registry", "history", "--json").stdout)
    assert history[-1]["reason"] == "override: trying"
