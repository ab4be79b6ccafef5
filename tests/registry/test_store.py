"""Registering, promoting and history, on SQLite and on PostgreSQL."""

import dataclasses
import shutil

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from registry.errors import UnknownVersion
from registry.speed_schema import SpeedSchema
from registry.tables import RegistryBase, VersionState
from tests.registry.factories import speed_record


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


def test_register_again_adds_a_time_that_was_measured_since(registry, submit):
    submission = submit()
    registry.register("m", submission)
    assert registry.show("m", 1).speed is None
    measured = dataclasses.replace(submission, speed=SpeedSchema(**speed_record(0.25)))
    assert registry.register("m", measured).speed.seconds_per_item == 0.25
    registry.register("m", submission)
    assert registry.show("m", 1).speed.seconds_per_item == 0.25


def test_unknown_models_and_versions_are_named(registry, submit):
    with pytest.raises(UnknownVersion, match="unknown model 'm'; registered: none"):
        registry.show("m", 1)
    registry.register("m", submit())
    with pytest.raises(UnknownVersion, match=r"no version 7; registered: 1$"):
        registry.promote("m", 7, actor="test")
    with pytest.raises(UnknownVersion, match=r"no version 9223372036854775808; registered: 1$"):
        registry.show("m", 2**63)
    with pytest.raises(UnknownVersion, match="has no champion"):
        registry.champion("m")
