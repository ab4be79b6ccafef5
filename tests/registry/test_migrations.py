"""Migrations of filled registries, up and down, and the protection of immutable rows."""

import sqlite3
from datetime import timedelta

import pytest
from sqlalchemy import MetaData, create_engine, event, inspect, select, text
from sqlalchemy.exc import DBAPIError

from registry.artifacts.store import ArtifactStore
from registry.errors import RegistryUnreachable, UnsupportedRegistry
from registry.schema import downgrade
from registry.session import open_engine, transaction
from registry.speed_schema import SpeedSchema
from registry.store import Registry
from registry.tables import IMMUTABLE
from tests.registry.factories import speed_record, write_policy
from tests.registry.release_0_1_0 import RELEASE_0_1_0


def contents(engine):
    """Return all rows of all tables, as text so that times and numbers compare exactly."""
    metadata = MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection)
        return {
            table.name: sorted(
                str(dict(row)) for row in connection.execute(select(table)).mappings()
            )
            for table in metadata.sorted_tables
        }


def reopen(registry):
    url = registry.engine.url
    registry.engine.dispose()
    return Registry(open_engine(url), registry.artifacts, registry.policy_path)


@pytest.fixture
def filled(registry, submit):
    """A registry with a row in every table."""
    first = submit(accuracy=0.5)
    registry.register("m", first)
    registry.register("m", submit(accuracy=0.7))
    registry.register("m", submit(accuracy=0.6))
    registry.register("other", first)
    registry.promote("m", 1, actor="someone")
    registry.promote("m", 2, actor="someone")
    registry.roll_back("m", actor="someone", reason="wrong answers")
    registry.set_pinned("m", 3, True, actor="someone")
    registry.set_alias("m", "staging", 3, actor="someone")
    registry.set_tag("m", 3, "purpose", "trial", actor="someone")
    registry.describe("m", 3, "a trial", actor="someone")
    registry.describe("m", None, "the model", actor="someone")
    registry.add_note("m", 3, "looks good", actor="someone")
    registry.approvals.request("m", 3, actor="flow", valid_for=timedelta(days=1), flow_run="run-1")
    registry.approvals.decide("m", 3, approve=False, actor="someone", reason="only a trial")
    registry.approvals.request("other", 1, actor="flow", valid_for=timedelta(days=1))
    with transaction(registry.engine) as session:
        from registry.registration import add_evaluation, add_speed
        from registry.tables import VersionRow

        version = session.get(VersionRow, 3)
        evaluation = submit(accuracy=0.65).evaluation
        row = add_evaluation(session, version, evaluation, None, version.artifact)
        add_speed(session, row, SpeedSchema(**speed_record(0.5)))
    return registry


def test_downgrade_and_upgrade_lose_nothing(filled):
    before = contents(filled.engine)
    downgrade(filled.engine, "0001")
    tables = set(inspect(filled.engine).get_table_names())
    assert {"versions", "transitions", "downgraded_0002"} <= tables
    assert not {"events", "aliases"} & tables
    with filled.engine.connect() as connection:
        stages = connection.execute(text("SELECT number, stage FROM versions ORDER BY id")).all()
    assert stages == [(1, "champion"), (2, "archived"), (3, "candidate"), (1, "candidate")]
    again = reopen(filled)
    assert contents(again.engine) == before
    assert "downgraded_0002" not in inspect(again.engine).get_table_names()


def test_upgrade_keeps_what_an_old_release_changed_after_a_downgrade(filled, submit):
    downgrade(filled.engine, "0001")
    with filled.engine.begin() as connection:
        for statement in (
            "UPDATE versions SET stage = 'archived' WHERE id = 1",
            "UPDATE versions SET stage = 'champion' WHERE id = 3",
            "INSERT INTO transitions (id, version_id, from_stage, to_stage, at, actor, reason,"
            " evidence) SELECT 100, 3, 'candidate', 'champion', at, 'old', 'old release', evidence"
            " FROM transitions WHERE id = 1",
        ):
            connection.execute(text(statement))
    again = reopen(filled)
    assert again.champion("m").version == 3
    assert [version.standing for version in again.versions("m")] == [
        "archived", "rejected", "champion",
    ]  # fmt: skip
    assert again.show("m", 3).aliases == ("champion", "staging")
    last = again.history("m")[-1]
    assert (last.version, last.kind, last.reason) == (3, "promoted", "old release")
    assert again.register("m", submit(name="new", accuracy=0.9)).version == 4


def test_upgrade_of_release_0_1_0_and_downgrade_return_the_same_rows(old_registry):
    path = old_registry.project / ".flanmoe" / "registry.db"
    url = f"sqlite:///{path}"
    before = contents(create_engine(url))
    engine = open_engine(url)
    downgrade(engine, "0001")
    after = contents(engine)
    assert after.pop("downgraded_0002")
    assert before.pop("alembic_version") == after.pop("alembic_version")
    assert after.keys() == before.keys()
    for table in ("models", "versions", "transitions"):
        assert after[table] == before[table]
    assert len(after["evaluations"]) == len(before["evaluations"])


def test_downgrade_of_an_empty_registry_leaves_the_first_tables(registry):
    downgrade(registry.engine, "0001")
    assert reopen(registry).versions() == []


def test_downgrade_unknown_revision_is_rejected(registry):
    with pytest.raises(UnsupportedRegistry, match="'0007' is unknown; expected one of 0001, 0002"):
        downgrade(registry.engine, "0007")


def test_database_rejects_changes_of_immutable_rows(filled):
    for table in IMMUTABLE:
        column = {"metrics": "value", "approval_decisions": "reason"}.get(table, "id")
        for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            with (
                pytest.raises(DBAPIError, match=f"rows of {table} are immutable"),
                filled.engine.begin() as connection,
            ):
                connection.execute(text(statement))


def test_readers_do_not_wait_for_a_writer(filled):
    with transaction(filled.engine) as session:
        session.execute(text("UPDATE models SET description = 'in progress'"))
        assert filled.champion("m").version == 1  # on a connection of its own
        assert len(filled.versions()) == 4
        assert len(filled.history()) > 4


def test_read_only_database_is_read_and_a_change_fails_in_a_single_line(tmp_path, submit):
    engine = open_engine(f"sqlite:///{tmp_path / 'registry.db'}")
    registry = Registry(
        engine, ArtifactStore.in_folder(tmp_path / "artifacts"), write_policy(tmp_path)
    )
    registry.register("m", submit())
    registry.engine.dispose()
    event.listen(registry.engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only = ON"))
    assert registry.versions()[0].version == 1
    with pytest.raises(RegistryUnreachable, match="readonly database; make the file and its"):
        registry.describe("m", 1, "text", actor="ann")


def test_release_0_1_0_database_is_of_the_first_schema():
    with sqlite3.connect(RELEASE_0_1_0 / "registry.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0001",)
        ]
    connection.close()
