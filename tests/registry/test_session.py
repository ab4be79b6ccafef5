"""Opening of databases."""

import shutil
import sqlite3
import time

import pytest

from benchmarks.drill_services import create_database
from registry import schema
from registry.database_url import database_url
from registry.errors import (
    MissingRegistry,
    RegistryUnreachable,
    UnknownVersion,
    UnsupportedRegistry,
)
from registry.session import open_engine
from registry.store import Registry
from tests.factories import AWKWARD_FOLDERS


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://someone:secret@127.0.0.1:9/registry", "cannot be opened"),
        ("postgres://someone:secret@127.0.0.1:9/registry", "cannot be opened"),
        ("postgresql://someone:secret@127.0.0.1:99999/registry", "cannot be opened"),
        (
            "postgresql://someone:s/ecre@t:secret@127.0.0.1:9/registry",
            "cannot be opened|not a URL|port",
        ),
        ("postgresql://someone:secret@h/db?nonsense=1", "cannot be opened"),
        ("postgresql://someone:secret@host:port/db", "a URL whose port is not a number; expected"),
        ("postgresql//someone:secret@host/db", "not a URL; expected"),
        ("no url", "FLANMOE_DATABASE_URL: no url is not a URL; expected sqlite:"),
        ("oracle+nothing://x", "is a oracle database, which is not supported; expected"),
        ("mysql://someone:secret@host/db", "is a mysql database, which is not supported"),
        ("sqlite://", "is no file, which is not supported; expected"),
        ("sqlite:///:memory:", "is no file, which is not supported; expected"),
        ("sqlite:////proc/no/registry.db", "the folder /proc/no does not exist; create it"),
        ("sqlite:////proc", "/proc is not a file"),
    ],
)
def test_open_engine_unusable_database_fails_in_a_single_line(url, message):
    with pytest.raises(RegistryUnreachable, match=message) as failure:
        open_engine(url)
    assert "secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_open_engine_file_of_another_program_fails_in_a_single_line(tmp_path):
    path = tmp_path / "registry.db"
    path.write_text("no database, but long enough to be read as one\n" * 100)
    with pytest.raises(RegistryUnreachable, match="file is not a database"):
        open_engine(f"sqlite:///{path}")


@pytest.mark.parametrize("revision", ["0099", "0099_future", "ae1027a6acf"])
def test_open_engine_newer_schema_revision_fails_in_a_single_line(tmp_path, revision):
    path = tmp_path / "registry.db"
    open_engine(f"sqlite:///{path}").dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    with pytest.raises(UnsupportedRegistry, match=f"'{revision}', newer than '") as failure:
        open_engine(f"sqlite:///{path}")
    assert "upgrade flanmoe" in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("name", AWKWARD_FOLDERS)
def test_registry_open_in_any_folder_writes_below_it(tmp_path, monkeypatch, name):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    project = tmp_path / name
    project.mkdir()
    registry = Registry.open(project, create=True)
    assert (project / ".flanmoe" / "registry.db").is_file()
    assert registry.artifacts.storage.location == str(project / ".flanmoe" / "artifacts")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert Registry.open(project).versions() == []


@pytest.mark.parametrize("name", AWKWARD_FOLDERS)
def test_open_engine_migrations_in_any_folder_are_read(tmp_path, monkeypatch, name):
    migrations = tmp_path / name / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations)
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    open_engine(f"sqlite:///{tmp_path / 'registry.db'}").dispose()


def test_registry_open_without_create_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    registry = Registry.open(tmp_path)
    assert registry.versions() == []
    assert registry.history() == []
    with pytest.raises(UnknownVersion, match="'m' has no champion"):
        registry.champion("m")
    assert list(tmp_path.iterdir()) == []


def test_registry_open_mistyped_file_is_not_created(tmp_path, monkeypatch):
    path = tmp_path / "registri.db"
    monkeypatch.setenv("FLANMOE_DATABASE_URL", f"sqlite:///{path}")
    with pytest.raises(MissingRegistry, match=f"{path} does not exist; correct FLANMOE_DATABASE"):
        Registry.open(tmp_path)
    assert not path.exists()
    Registry.open(tmp_path, create=True)
    assert path.is_file()
    assert Registry.open(tmp_path).versions() == []


def test_registry_file_that_is_removed_while_open_is_not_created_again(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    registry = Registry.open(tmp_path, create=True)
    path = tmp_path / ".flanmoe" / "registry.db"
    path.unlink()
    registry.engine.dispose()
    with pytest.raises(RegistryUnreachable, match=r"unable to open .*restore it from a backup"):
        registry.revision()
    assert not path.exists()


def test_registry_read_waits_for_a_lock_as_long_as_it_was_opened_for(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    registry = Registry.open(tmp_path, create=True, wait_s=0.2)
    with sqlite3.connect(tmp_path / ".flanmoe" / "registry.db") as writer:
        writer.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        with pytest.raises(RegistryUnreachable, match="is locked"):
            registry.revision()
        assert time.monotonic() - start < 20
    writer.close()


def test_revision_of_a_registry_that_a_newer_release_migrated_is_rejected(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    registry = Registry.open(tmp_path, create=True)
    with sqlite3.connect(tmp_path / ".flanmoe" / "registry.db") as writer:
        writer.execute("UPDATE alembic_version SET version_num = '9999'")
    writer.close()
    with pytest.raises(UnsupportedRegistry, match="upgrade flanmoe"):
        registry.revision()


def test_registry_open_database_of_another_program_is_not_changed(tmp_path, monkeypatch):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    monkeypatch.setenv("FLANMOE_DATABASE_URL", f"sqlite:///{path}")
    with pytest.raises(MissingRegistry, match="has no registry"):
        Registry.open(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.process
def test_registry_open_empty_postgresql_database_is_created_by_a_writer_only(
    postgres, tmp_path, monkeypatch
):
    url = create_database(postgres, "opened")
    monkeypatch.setenv("FLANMOE_DATABASE_URL", url.replace("postgresql://", "postgres://"))
    with pytest.raises(MissingRegistry, match="has no registry"):
        Registry.open(tmp_path)
    Registry.open(tmp_path, create=True).engine.dispose()
    assert Registry.open(tmp_path).versions() == []
    monkeypatch.setenv("FLANMOE_DATABASE_URL", url.replace("opened", "opned"))
    with pytest.raises(RegistryUnreachable, match='database "opned" does not exist'):
        Registry.open(tmp_path, create=True)


def test_database_url_environment_variable_replaces_sqlite(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    assert database_url(tmp_path).database == f"{tmp_path}/.flanmoe/registry.db"
    monkeypatch.setenv("FLANMOE_DATABASE_URL", "postgresql://there")
    assert database_url(tmp_path).render_as_string() == "postgresql+psycopg://there"
