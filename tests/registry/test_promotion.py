"""Promotion by the gates of a policy, on SQLite and on PostgreSQL."""

import dataclasses
import json

import pytest

from registry.errors import GateFailed, InvalidPolicy, NeedsEvaluation, NotPermitted
from registry.promoter import Promoter
from tests.registry.factories import (
    SELF_TEST,
    dataset,
    failed_expectation,
    write_policy,
)

NO_SELF_TEST = {"min_recall": 0.0, "precision": 0.0, "kinds": {}, "boilerplate": {}}


@pytest.fixture
def fill(registry, submit):
    """Register versions of one model: one for each accuracy, all with the same FLOPs."""

    def register(*accuracies, **changes):
        return [
            registry.register("m", submit(accuracy=accuracy, **changes)).version
            for accuracy in accuracies
        ]

    return register


def kinds(registry):
    return [(entry.version, entry.kind.value) for entry in registry.history("m")]


def test_promote_best_replaces_the_champion_only_by_a_better_version(registry, fill):
    fill(0.5, 0.7, 0.6)
    decision = registry.promote_best("m", [1, 2, 3], actor="flow")
    assert (decision.champion_version, decision.changed, decision.outcome) == (2, True, "promoted")
    assert [(r.version, r.outcome) for r in decision.reports] == [
        (1, "promoted"), (2, "promoted"), (3, "refused"),
    ]  # fmt: skip
    again = registry.promote_best("m", [1, 2, 3], actor="flow")
    assert (again.champion_version, again.changed, again.outcome) == (2, False, "unchanged")
    fill(0.8)
    assert registry.promote_best("m", [4], actor="flow").champion_version == 4
    assert [version.standing for version in registry.versions("m")] == [
        "archived", "archived", "registered", "champion",
    ]  # fmt: skip
    demoted, promoted = registry.history("m")[-2:]
    assert (demoted.version, demoted.kind) == (2, "demoted")
    assert (promoted.version, promoted.kind, promoted.details["previous"]) == (4, "promoted", 2)
    assert promoted.details["gates"][0]["name"] == "artifact_intact"


def test_promote_best_keeps_the_cheaper_of_two_versions_that_do_not_differ(registry, submit):
    """The dearer one has a higher accuracy, by 2 of 400 items."""
    dear = {"record": {"flops_per_item": 1e8}, "flops_per_item": 1e8}
    registry.register("m", submit(name="dear", accuracy=0.605, **dear))
    registry.register("m", submit(name="cheap", accuracy=0.6))
    decision = registry.promote_best("m", [1, 2], actor="flow")
    assert decision.champion_version == 2
    assert [report.outcome for report in decision.reports] == ["promoted", "unchanged"]


def test_first_champion_is_the_smaller_of_two_versions_of_equal_cost(registry, submit):
    """The larger one has 2 % fewer FLOPs per item, twice the parameters, 2 more right answers."""
    large = {"record": {"flops_per_item": 4.9e7}, "flops_per_item": 4.9e7}
    size = {"total_parameters": 4000}
    registry.register("m", submit(name="large", accuracy=0.605, run=size, **large))
    registry.register("m", submit(name="small", accuracy=0.6))
    decision = registry.promote_best("m", [1, 2], actor="flow")
    assert [(r.version, r.outcome) for r in decision.reports] == [
        (2, "promoted"), (1, "unchanged"),
    ]  # fmt: skip


def test_equal_versions_do_not_replace_each_other(registry, fill, submit):
    fill(0.6)
    registry.promote("m", 1, actor="ann")
    registry.register("m", submit(name="equal", accuracy=0.6))
    report = registry.promote("m", 2, actor="ann")
    assert report.outcome == "unchanged"
    assert report.reason.startswith("better_or_cheaper: version 2 is not worse by 1 points")
    assert kinds(registry)[-1] == (2, "registered")
    assert registry.verdicts("m", 2)[-1].outcome == "unchanged"


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"accuracy": 0.255}, "above_chance_and_baseline"),
        ({"num_items": 10}, "enough_items: 10 items, minimum 200"),
        ({"partial": True}, "suites_complete: s is partial"),
        ({"num_contaminated": 1}, "uncontaminated: 1 of 400 items of s"),
        ({"num_contaminated": None}, "uncontaminated: not recorded"),
        (
            {"record": {"overlap_self_test": SELF_TEST | {"min_recall": 0.94}}},
            "contamination_recall: smallest recall of a kind 0.9400",
        ),
        ({"record": {"overlap_self_test": NO_SELF_TEST}}, "contamination_precision: precision 0"),
    ],
)
def test_failed_gate_refuses_and_a_listed_person_overrides(registry, submit, changes, gate):
    registry.register("m", submit(**changes))
    with pytest.raises(GateFailed) as refusal:
        registry.promote("m", 1, actor="bob")
    assert gate in str(refusal.value)
    assert refusal.value.report.outcome == "refused"
    decision = registry.promote_best("m", [1], actor="flow")
    assert (decision.champion_version, decision.outcome) == (None, "refused")
    assert gate in decision.reason
    registry.promote("m", 1, actor="me", override="we know")
    assert registry.champion("m").version == 1
    last = registry.history("m")[-1]
    assert (last.reason, last.actor) == ("override: we know", "me")
    assert not all(gate["passed"] for gate in last.details["gates"])


def test_override_needs_a_reason_and_a_listed_person(registry, submit):
    registry.register("m", submit(num_items=10))
    with pytest.raises(NotPermitted, match=r"'bob' may not override gates: .* \(ann, me\)"):
        registry.promote("m", 1, actor="bob", override="please")
    with pytest.raises(NotPermitted, match="'flow' may not override"):
        registry.promote("m", 1, actor="flow", override="please")
    with pytest.raises(GateFailed, match="enough_items"):
        registry.promote("m", 1, actor="me", override=" \t\n")
    assert [entry.kind for entry in registry.history("m")] == ["registered", "refused"]


@pytest.mark.parametrize("damage", [lambda f: f.unlink(), lambda f: f.write_bytes(b"\0" * 9)])
def test_missing_or_damaged_artifact_cannot_be_overridden(registry, submit, damage):
    artifact = registry.register("m", submit()).artifact
    file = registry.artifacts.file(artifact, "weights/model.safetensors")
    file.chmod(0o600)
    damage(file)
    for override in ("", "we need it"):
        with pytest.raises(GateFailed, match=r"artifact_intact: .*safetensors"):
            registry.promote("m", 1, actor="me", override=override)
    assert registry.verdicts("m", 1)[-1].outcome == "refused"


def test_record_that_does_not_follow_from_its_samples_cannot_be_overridden(registry, submit):
    """An evaluation.json edited to 97 %."""
    submission = submit(accuracy=0.6)
    edited = submission.evaluation.model_copy(update={"accuracy": 0.97})
    registry.register("m", dataclasses.replace(submission, evaluation=edited))
    with pytest.raises(GateFailed, match=r"record_consistent: evaluation: accuracy is 0\.97"):
        registry.promote("m", 1, actor="me", override="great score")


def test_damaged_champion_refuses_and_a_person_overrides(registry, fill):
    fill(0.5, 0.7)
    registry.promote("m", 1, actor="ann")
    info = registry.show("m", 1)
    samples = registry.artifacts.file(info.evaluation_artifact, "samples.parquet")
    samples.unlink()
    with pytest.raises(GateFailed, match=r"champion_readable: .*No such file"):
        registry.promote("m", 2, actor="ann")
    assert registry.promote("m", 2, actor="ann", override="1 is lost").is_promoted


def test_versions_on_other_items_are_evaluated_first(registry, fill, submit, tmp_path):
    fill(0.5)
    registry.promote("m", 1, actor="ann")
    registry.register("m", submit(accuracy=0.9, file_sha256="c" * 64))
    with pytest.raises(NeedsEvaluation) as needed:
        registry.promote("m", 2, actor="ann")
    assert needed.value.report.other_items == (1,)
    assert registry.promote_best("m", [2], actor="flow").other_items == (1,)
    assert registry.verdicts("m", 2) == []
    again = submit(accuracy=0.55, file_sha256="c" * 64).folder
    record = json.loads((again / "evaluation.json").read_text())
    record["weights_sha256"] = registry.show("m", 1).run_record.weights_sha256
    (again / "evaluation.json").write_text(json.dumps(record))
    info = registry.add_evaluation("m", 1, again)
    assert (info.num_evaluations, info.evaluation.accuracy) == (2, 0.55)
    assert registry.add_evaluation("m", 1, again).num_evaluations == 2
    assert kinds(registry)[-1] == (1, "evaluated")
    assert registry.promote("m", 2, actor="ann").is_promoted
    assert registry.verdicts("m", 2)[-1].champion == 1


def test_earlier_champion_without_weights_is_skipped_when_items_change(registry, fill, submit):
    fill(0.4, 0.6)
    registry.promote("m", 1, actor="ann")
    registry.promote("m", 2, actor="ann")
    registry.register("m", submit(accuracy=0.9, file_sha256="c" * 64))
    assert registry.preview("m", 3).other_items == (2, 1)
    weights = registry.artifacts.file(registry.show("m", 1).artifact, "weights/model.safetensors")
    weights.unlink()
    assert registry.preview("m", 3).other_items == (2,)


def test_only_the_actors_of_the_policy_promote_and_intervene(registry, fill, tmp_path):
    fill(0.6)
    write_policy(tmp_path, promoters={"people": ["ann"], "programs": []})
    with pytest.raises(NotPermitted, match=r"'bob' may not promote: .* lists ann"):
        registry.promote("m", 1, actor="bob")
    decision = registry.promote_best("m", [1], actor="flow")
    assert (decision.changed, decision.champion_version) == (False, None)
    assert decision.outcome == "refused"
    assert "'flow' may not promote: promoters.programs" in decision.reason
    registry.promote("m", 1, actor="ann")
    for change in (
        lambda: registry.roll_back("m", actor="bob", reason="x"),
        lambda: registry.reject("m", 1, actor="bob", reason="x"),
        lambda: registry.reinstate("m", 1, actor="bob", reason="x"),
        lambda: registry.set_pinned("m", 1, True, actor="bob"),
        lambda: registry.roll_back("m", actor="flow", reason="x"),
    ):
        with pytest.raises(NotPermitted, match="may not"):
            change()
    assert registry.champion("m").version == 1


def test_each_model_has_its_policy_and_a_changed_file_counts_at_once(registry, submit, tmp_path):
    submission = submit(num_items=100)
    for model in ("m", "small"):
        registry.register(model, submission)
    write_policy(tmp_path, models={"small": {"evaluation": {"min_items": 50}}})
    assert registry.promote("small", 1, actor="ann").is_promoted
    with pytest.raises(GateFailed, match="enough_items"):
        registry.promote("m", 1, actor="ann")
    refused = registry.verdicts("m", 1)[-1]
    write_policy(tmp_path, evaluation={"min_items": 100})
    assert registry.promote("m", 1, actor="ann").is_promoted
    promoted = registry.verdicts("m", 1)[-1]
    assert len({refused.policy_sha256, promoted.policy_sha256, ""}) == 3
    (tmp_path / "policy.yaml").write_text("data: {max_contaminated_shar: 1}")
    with pytest.raises(InvalidPolicy, match="did you mean 'max_contaminated_share'"):
        registry.promote("m", 1, actor="ann")


def test_preview_shows_every_gate_and_changes_nothing(registry, fill, submit):
    fill(0.5, 0.7)
    registry.promote("m", 1, actor="ann")
    revision = registry.revision()
    report = registry.preview("m", 2)
    assert (report.outcome, report.reason) == ("promoted", "all gates passed")
    assert len(report.gates) == 20
    registry.register("m", submit(name="few", accuracy=0.9, num_items=100))
    assert registry.preview("m", 3).outcome == "refused"
    assert registry.preview("m", 3, override="so be it").outcome == "promoted"
    assert registry.preview("m", 1).reason == "it is champion already"
    registry.reject("m", 2, actor="ann", reason="bad")
    rejected = registry.preview("m", 2)
    assert rejected.outcome == "refused"
    assert rejected.reason.startswith("a person rejected version 2")
    assert len(rejected.gates) == 20
    assert registry.revision() == revision + 2  # the registration and the rejection
    assert registry.verdicts("m", 2) == []


def test_repeated_decision_is_the_same_test_and_is_stored_once(registry, fill):
    fill(0.6, 0.605, 0.61)
    registry.promote("m", 1, actor="ann")
    first = [registry.promote("m", n, actor="ann").gates[-1].detail for n in (2, 3)]
    again = [registry.promote("m", n, actor="ann").gates[-1].detail for n in (3, 2)]
    assert again == first[::-1]
    assert "test 1 against this champion" in first[0]
    assert "test 2 against this champion" in first[1]
    assert [len(registry.verdicts("m", n)) for n in (1, 2, 3)] == [1, 1, 1]


def test_new_champion_starts_a_new_budget(registry, fill):
    fill(0.4, 0.405, 0.7, 0.705)
    registry.promote("m", 1, actor="ann")
    registry.promote("m", 2, actor="ann")
    assert registry.promote("m", 3, actor="ann").is_promoted
    report = registry.promote("m", 4, actor="ann")
    assert "test 1 against this champion" in report.gates[-1].detail


def test_dataset_is_recorded_once_and_decides_for_all_its_versions(registry, submit):
    bad = dataset(failed_expectations=[failed_expectation()])
    registry.register("m", dataclasses.replace(submit(accuracy=0.6), dataset=bad))
    registry.register("m", dataclasses.replace(submit(accuracy=0.7), dataset=dataset()))
    registry.register("m", dataclasses.replace(submit(accuracy=0.8), dataset=None))
    for number in (1, 2, 3):
        gates = {gate.name: gate for gate in registry.preview("m", number).gates}
        assert gates["data_validated"].detail.startswith("1 of 20 expectations failed")


def test_decision_repeats_if_the_champion_changes_meanwhile(registry, fill, monkeypatch):
    fill(0.5, 0.6, 0.7)
    registry.promote("m", 1, actor="ann")
    judged = []
    judge = Promoter.judge

    def judge_and_interfere(promoter, case, policy):
        judged.append(case.champion and case.champion.info.version)
        if len(judged) == 1:
            registry.promote("m", 3, actor="bob")
        return judge(promoter, case, policy)

    monkeypatch.setattr(Promoter, "judge", judge_and_interfere)
    with pytest.raises(GateFailed, match=r"worse: .* against version 3"):
        registry.promote("m", 2, actor="ann")
    assert judged == [1, 1, 3]
    assert registry.champion("m").version == 3
