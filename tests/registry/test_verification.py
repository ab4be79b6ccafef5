"""`Registry.verify` finds damaged files, and records that do not follow from their samples."""

import json

import pytest
from sqlalchemy import text

from registry.artifacts.store import ArtifactStore
from registry.errors import UnknownVersion
from registry.history import EventKind
from registry.session import open_engine
from registry.store import Registry
from tests.registry.factories import edit_json


def faults_of(registry, model=None):
    return [(v.version, f.fault) for v in registry.verify(model) for f in v.faults]


@pytest.fixture
def filled(registry, submit):
    registry.register("m", submit("a", 0.5))
    registry.register("m", submit("b", 0.7))
    return registry


def test_an_intact_registry_has_no_fault(filled):
    assert [(v.model, v.version, v.faults) for v in filled.verify()] == [
        ("m", 1, ()), ("m", 2, ()),
    ]  # fmt: skip
    with pytest.raises(UnknownVersion, match="unknown model 'x'"):
        list(filled.verify("x"))


def test_verification_is_recorded_for_each_model_once_it_is_complete(filled, submit):
    filled.register("n", submit("c", 0.6))
    next(filled.verify(actor="ann"))
    list(filled.verify())
    assert filled.history(kinds=[EventKind.VERIFIED]) == []
    file = filled.artifacts.file(filled.show("m", 2).artifact, "run.json")
    file.chmod(0o640)
    file.write_bytes(bytes(file.stat().st_size))
    list(filled.verify(actor="ann"))
    shown = [
        (e.model, e.version, e.actor, e.reason, e.details)
        for e in filled.history(kinds=[EventKind.VERIFIED])
    ]
    num_faults = len(faults_of(filled))
    assert shown == [
        ("m", None, "ann", f"2 versions, {num_faults} faults",
         {"num_versions": 2, "num_faults": num_faults}),
        ("n", None, "ann", "1 versions, 0 faults", {"num_versions": 1, "num_faults": 0}),
    ]  # fmt: skip
    list(filled.verify("n", actor="flow:janitor"))
    assert filled.history(limit=1)[0].model == "n"


def test_a_registry_of_release_0_1_0_has_no_fault(old_registry, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    registry = Registry.open(old_registry.project)
    assert [v.version for v in registry.verify()] == [1, 2]
    assert faults_of(registry) == []
    weights = old_registry.artifacts[0] / "weights" / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    ((version, fault),) = faults_of(registry)
    assert (version, "weights/model.safetensors" in fault) == (1, True)


@pytest.mark.parametrize("path", ["weights/model.safetensors", "samples.parquet", "run.json"])
def test_every_damaged_file_is_reported(filled, path):
    artifacts = filled.artifacts
    file = artifacts.file(filled.show("m", 2).artifact, path)
    file.chmod(0o640)
    file.write_bytes(bytes(file.stat().st_size))
    faults = faults_of(filled)
    assert {version for version, _ in faults} == {2}
    assert f"{path} does not match its checksum" in faults[0][1]
    assert "restore it with `flanmoe registry register FOLDER`" in faults[0][1]


def test_an_edited_evaluation_record_is_reported(registry, tmp_path, submit):
    """An evaluation.json edited to 0.97 before its run was registered."""
    submission = submit("a", 0.5)
    edit_json(submission.folder / "evaluation.json", lambda record: record.update(accuracy=0.97))
    from registry.intake import read_submission

    registry.register("m", read_submission(submission.folder, tmp_path / "tokenizer"))
    ((version, fault),) = faults_of(registry)
    assert version == 1
    assert "evaluation: accuracy is 0.97 in the record, 0.5 by the samples" in fault


def update(registry, statement):
    """Change an immutable table, as someone with access to the database can."""
    with registry.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET session_replication_role = replica"))
        else:
            names = connection.execute(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
            for name in list(names):
                connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "UPDATE evaluations SET accuracy = 0.97 WHERE id = 1",
            "evaluation 1: accuracy is 0.97 in its column of the database, 0.5 in its record",
        ),
        (
            "UPDATE runs SET flops_per_token = 1 WHERE id = 1",
            "run record: flops_per_token is 1.0 in its column of the database, 1000000.0 in its",
        ),
        (
            "UPDATE metrics SET low = 99 WHERE evaluation_id = 1 AND name = 'suite.s'",
            "evaluation 1: the metric suite.s of the database does not follow from the record",
        ),
        (
            "DELETE FROM metrics WHERE evaluation_id = 1 AND name = 'score'",
            "evaluation 1: the metric score of the database does not follow from the record",
        ),
        (
            "UPDATE evaluations SET items_digest = 'other' WHERE id = 1",
            "evaluation 1: items_digest of the database is not that of its record",
        ),
        (
            f"UPDATE versions SET digest = '{'0' * 64}' WHERE id = 1",
            "its digest is not that of its records",
        ),
    ],
)
def test_edited_columns_are_reported(filled, statement, fault):
    update(filled, statement)
    ((version, line),) = faults_of(filled)
    assert version == 1
    assert line.startswith(fault)


def test_an_edited_record_in_the_database_is_reported(filled):
    with filled.engine.connect() as connection:
        query = text("SELECT record FROM evaluations WHERE id = 1")
        record = connection.execute(query).scalar()
    record = json.loads(record) if isinstance(record, str) else record
    record["accuracy"] = 0.97
    update(
        filled,
        f"UPDATE evaluations SET accuracy = 0.97, record = '{json.dumps(record)}' WHERE id = 1",
    )
    lines = [line for _, line in faults_of(filled)]
    assert any("evaluation.json of the artifact differs from the database in accuracy" in line
               for line in lines)  # fmt: skip
    assert any("accuracy is 0.97 in the record, 0.5 by the samples" in line for line in lines)


def test_a_malformed_record_is_a_fault(filled):
    update(filled, "UPDATE runs SET record = '{}' WHERE id = 1")
    ((version, line),) = faults_of(filled)
    assert version == 1
    assert "Field required" in line


def test_a_moved_project_has_no_fault(filled, tmp_path):
    store = tmp_path / "artifacts"
    store.rename(tmp_path / "elsewhere")
    store = ArtifactStore.in_folder(tmp_path / "elsewhere")
    moved = Registry(filled.engine, store, filled.policy_path)
    assert faults_of(moved) == []
    assert len(faults_of(filled)) >= 2


def test_a_second_registry_on_the_same_database_and_store_reads_it(filled, url, tmp_path):
    store = ArtifactStore.in_folder(tmp_path / "artifacts")
    second = Registry(open_engine(url), store, filled.policy_path)
    assert (second.model_folder(second.show("m", 1)) / "weights").is_dir()
