"""Registering, promoting and history, on SQLite and on PostgreSQL."""

import dataclasses
import re
import shutil

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from registry.errors import GateFailed, UnknownVersion
from registry.params import GateParams
from registry.speed_schema import SpeedSchema
from registry.tables import RegistryBase, VersionState
from tests.registry.factories import SELF_TEST, speed_record

GATES = GateParams()
NO_SELF_TEST = {"min_recall": 0.0, "precision": 0.0, "kinds": {}, "boilerplate": {}}


def test_migrations_create_the_tables_of_the_classes(registry):
    with registry.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, RegistryBase.metadata) == []


def test_versions_return_what_was_registered(registry, submit):
    registered = registry.register("m", submit(accuracy=0.6))
    (version,) = registry.versions()
    assert version == registry.show("m", 1)
    assert (registered.run_record, registered.evaluation) == (
        version.run_record,
        version.evaluation,
    )
    assert (version.model, version.version, version.name) == ("m", 1, "run")
    assert version.state is VersionState.REGISTERED
    assert version.aliases == ()
    assert version.run_record.git_commit == "abc"
    assert version.evaluation.tasks[0].task == "s/t"


def test_version_to_dict_has_the_fields_of_the_record(registry, submit):
    version = registry.register("m", submit(accuracy=0.6))
    expected = {
        "model": "m", "version": 1, "name": "run", "state": "registered", "accuracy": 0.6,
        "standard_error": pytest.approx((0.6 * 0.4 / 399) ** 0.5),
        "total_parameters": 2000, "active_parameters": 1000, "flops_per_token": 1e6,
    }  # fmt: skip
    shown = version.to_dict()
    assert {name: shown[name] for name in expected} == expected
    assert "evaluation" not in version.to_dict()
    assert version.to_full_dict()["evaluation"]["tasks"][0]["task"] == "s/t"


def test_register_same_result_twice_returns_the_same_version(registry, submit):
    submission = submit()
    assert registry.register("m", submission).version == 1
    assert registry.register("m", submission).version == 1
    assert registry.register("m", submit(accuracy=0.7)).version == 2
    assert registry.register("other", submission).version == 1
    assert len(registry.versions()) == 3
    assert len(registry.versions("m")) == 2


def test_register_copies_the_files_of_the_run(registry, submit):
    submission = submit()
    version = registry.register("m", submission)
    shutil.rmtree(submission.folder)
    artifact = registry.artifacts.local_folder(version.artifact)
    assert (artifact / "weights" / "model.safetensors").read_bytes() == b"run 0.6"
    assert (artifact / "tokenizer" / "spiece.model").read_bytes() == b"pieces"
    assert (artifact / "run.json").is_file()


def test_promote_best_replaces_the_champion_only_by_a_better_version(registry, submit):
    for accuracy in (0.5, 0.7, 0.6):
        registry.register("m", submit(accuracy=accuracy))
    decision = registry.promote_best("m", [1, 2, 3], GATES, actor="test")
    assert (decision.champion_version, decision.changed) == (2, True)
    assert registry.champion("m").version == 2
    again = registry.promote_best("m", [1, 2, 3], GATES, actor="test")
    assert (again.champion_version, again.changed) == (2, False)
    registry.register("m", submit(accuracy=0.8))
    assert registry.promote_best("m", [4], GATES, actor="test").champion_version == 4
    standings = [version.standing for version in registry.versions("m")]
    assert standings == ["registered", "archived", "registered", "champion"]
    demoted, promoted = registry.history("m")[-2:]
    assert (demoted.version, demoted.kind) == (2, "demoted")
    assert (promoted.version, promoted.kind, promoted.details["previous"]) == (4, "promoted", 2)
    assert promoted.to_dict()["details"]["gates"][0] == {
        **promoted.details["gates"][0], "name": "artifact_intact", "passed": True,
    }  # fmt: skip


def test_promote_best_equal_accuracy_prefers_fewer_flops(registry, submit):
    registry.register("m", submit(name="large", flops=2e6))
    registry.register("m", submit(name="small", flops=1e6))
    assert registry.promote_best("m", [1, 2], GATES, actor="test").champion_version == 2


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"accuracy": 0.255}, "above_chance"),
        ({"num_items": 10}, "enough_items"),
        ({"partial": True}, "complete"),
        ({"num_contaminated": 1}, "uncontaminated: 1 of 400 items of the most contaminated suite"),
        ({"num_contaminated": None}, "uncontaminated: the evaluation record does not count"),
        (
            {"record": {"overlap_self_test": SELF_TEST | {"min_recall": 0.94}}},
            "planted overlaps: smallest recall of a verbatim kind 0.940, minimum 0.95",
        ),
        (
            {"record": {"overlap_self_test": SELF_TEST | {"precision": 0.989}}},
            "precision 0.9890, minimum 0.99",
        ),
        (
            {"record": {"overlap_self_test": NO_SELF_TEST}},
            "contamination_check_tested: planted overlaps: smallest recall",
        ),
    ],
)
def test_promote_failed_gate_requires_an_override(registry, submit, changes, gate):
    registry.register("m", submit(**changes))
    with pytest.raises(GateFailed, match=re.escape(gate)):
        registry.promote("m", 1, GATES, actor="test")
    decision = registry.promote_best("m", [1], GATES, actor="test")
    assert decision.champion_version is None
    assert gate in decision.reason
    registry.promote("m", 1, GATES, actor="me", override="we know")
    assert registry.champion("m").version == 1
    last = registry.history("m")[-1]
    assert (last.reason, last.actor) == ("override: we know", "me")
    assert not all(gate["passed"] for gate in last.details["gates"])


def test_promote_missing_weights_fails(registry, submit):
    artifact = registry.register("m", submit()).artifact
    registry.artifacts.file(artifact, "weights/model.safetensors").unlink()
    with pytest.raises(GateFailed, match=r"artifact_intact: .*safetensors .* is missing"):
        registry.promote("m", 1, GATES, actor="test")


def test_promote_version_evaluated_on_other_items_fails(registry, submit):
    registry.register("m", submit(accuracy=0.5))
    registry.promote("m", 1, GATES, actor="test")
    registry.register("m", submit(accuracy=0.9, file_sha256="c" * 64))
    with pytest.raises(GateFailed, match="other items"):
        registry.promote("m", 2, GATES, actor="test")


@pytest.mark.parametrize(
    ("numerics", "detail"),
    [
        ({"device": "cuda", "precision": "bfloat16"}, "in bfloat16 on cuda, champion version 1 in"),
        ({"precision": "bfloat16"}, "rounding error 0.004, maximum 1e-06"),
        ({"device": "cuda", "precision": "tfloat32"}, "rounding error 0.0005"),
        ({"precision": "int4"}, "rounding error inf"),
    ],
)
def test_promote_version_evaluated_in_another_precision_fails(registry, submit, numerics, detail):
    registry.register("m", submit(accuracy=0.5))
    registry.promote("m", 1, GATES, actor="test")
    registry.register("m", submit(accuracy=0.9, record=numerics))
    with pytest.raises(GateFailed, match=f"same_precision_as_champion: .*{detail}"):
        registry.promote("m", 2, GATES, actor="test")


def test_promote_version_evaluated_in_float32_on_another_device_passes(registry, submit):
    registry.register("m", submit(accuracy=0.5))
    registry.promote("m", 1, GATES, actor="test")
    registry.register("m", submit(accuracy=0.9, record={"device": "cuda"}))
    report = registry.promote("m", 2, GATES, actor="test")
    gates = {gate.name: gate for gate in report.gates}
    assert gates["same_precision_as_champion"].passed
    registry.register("m", submit(accuracy=0.95, record={"precision": "bfloat16"}))
    lenient = GateParams(max_rounding_error=0.01)
    assert registry.promote_best("m", [3], lenient, actor="test").champion_version == 3


def test_register_again_adds_a_time_that_was_measured_since(registry, submit):
    submission = submit()
    registry.register("m", submission)
    assert registry.show("m", 1).speed is None
    measured = dataclasses.replace(submission, speed=SpeedSchema(**speed_record(0.25)))
    assert registry.register("m", measured).speed.seconds_per_item == 0.25
    registry.register("m", submission)
    assert registry.show("m", 1).speed.seconds_per_item == 0.25


def test_promote_version_without_gain_fails(registry, submit):
    registry.register("m", submit(accuracy=0.6))
    registry.promote("m", 1, GATES, actor="test")
    registry.register("m", submit(name="equal", accuracy=0.6))
    with pytest.raises(GateFailed, match="better_than_champion"):
        registry.promote("m", 2, GATES, actor="test")


def test_unknown_models_and_versions_are_named(registry, submit):
    with pytest.raises(UnknownVersion, match="unknown model 'm'; registered: none"):
        registry.show("m", 1)
    registry.register("m", submit())
    with pytest.raises(UnknownVersion, match=r"no version 7; registered: 1$"):
        registry.promote("m", 7, GATES, actor="test")
    with pytest.raises(UnknownVersion, match="has no champion"):
        registry.champion("m")
