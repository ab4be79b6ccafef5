"""Back-ups of both databases: complete, restorable to either, and nothing half-written."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from registry import backup
from registry.backup import back_up, restore
from registry.database_url import file_url
from registry.errors import BackupFailed, MissingRegistry
from registry.session import open_engine
from registry.store import Registry
from registry.tables import RegistryBase


@pytest.fixture
def filled(registry, submit):
    """A registry with versions, a champion, an approval and remarks."""
    registry.register("m", submit(accuracy=0.5))
    registry.register("m", submit(accuracy=0.7))
    registry.promote("m", 1, actor="ann")
    registry.approvals.request("m", 2, actor="flow", valid_for=timedelta(days=1))
    registry.add_note("m", 2, "ünïcode 'quotes' -- \x00".replace("\x00", "%s"), actor="ann")
    return registry


def num_rows(engine):
    """Count all rows, independently of the module under test."""
    with engine.connect() as connection:
        return sum(
            len(connection.execute(select(table)).all())
            for table in RegistryBase.metadata.tables.values()
        )


def test_backup_restored_to_a_new_registry_is_the_same_and_goes_on(filled, submit, tmp_path):
    copy = back_up(filled.engine, tmp_path / "backups", keep=3)
    assert copy.num_rows == num_rows(filled.engine)
    new = open_engine(file_url(tmp_path / "new.db"))
    assert restore(copy.path, new) == copy.num_rows
    restored = Registry(new, filled.artifacts, filled.policy_path)
    champions = [r.champion("m").to_full_dict() | {"created_at": ""} for r in (restored, filled)]
    assert champions[0] == champions[1]
    entries = [[e.to_dict() for e in r.history()] for r in (filled, restored)]
    assert [e | {"at": ""} for e in entries[0]] == [e | {"at": ""} for e in entries[1]]
    assert restored.approvals.list()[0].expires_at == filled.approvals.list()[0].expires_at
    assert restored.register("m", submit(accuracy=0.8)).version == 3


def test_restore_to_the_database_kind_of_the_original(filled, url, submit, tmp_path):
    """On PostgreSQL the ids continue after the restored ones."""
    copy = back_up(filled.engine, tmp_path / "backups", keep=3)
    with filled.engine.begin() as connection:
        for table in reversed(RegistryBase.metadata.sorted_tables):
            connection.execute(text(f"DROP TABLE {table.name} CASCADE" if "postgres" in url
                                    else f"DROP TABLE {table.name}"))  # fmt: skip
        connection.execute(text("DROP TABLE alembic_version"))
        if "postgres" in url:
            connection.execute(text("DROP FUNCTION flanmoe_reject_change"))
    filled.engine.dispose()
    engine = open_engine(url)
    restore(copy.path, engine)
    again = Registry(engine, filled.artifacts, filled.policy_path)
    assert [v.version for v in again.versions("m")] == [1, 2]
    assert again.register("m", submit(accuracy=0.8)).version == 3
    assert again.history()[-1].kind == "registered"


def test_restore_to_a_registry_with_versions_is_refused(filled, tmp_path):
    copy = back_up(filled.engine, tmp_path / "backups", keep=3)
    with pytest.raises(BackupFailed, match="the registry is not empty"):
        restore(copy.path, filled.engine)
    with pytest.raises(MissingRegistry, match=r"nothing\.db does not exist"):
        restore(tmp_path / "nothing.db", filled.engine)


def test_backups_beyond_the_number_to_keep_are_deleted_oldest_first(filled, tmp_path):
    copies = [back_up(filled.engine, tmp_path / "b", keep=2).path for _ in range(4)]
    assert sorted((tmp_path / "b").iterdir()) == copies[-2:]


def test_backup_that_differs_is_reported_and_leaves_no_file(filled, tmp_path, monkeypatch):
    def lose_notes(source, target):
        count = original(source, target)
        with target.begin() as connection:
            connection.execute(text("DROP TRIGGER notes_no_delete"))
            connection.execute(text("DELETE FROM notes"))
        return count

    original = backup.copy_rows
    monkeypatch.setattr(backup, "copy_rows", lose_notes)
    with pytest.raises(BackupFailed, match="table notes differs"):
        back_up(filled.engine, tmp_path / "b", keep=2)
    assert list((tmp_path / "b").iterdir()) == []
