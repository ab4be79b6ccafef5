"""Opening of databases; no server needed."""

import sqlite3

import pytest

from registry.errors import RegistryUnreachable, UnsupportedRegistry
from registry.session import database_url, open_engine


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://someone:secret@127.0.0.1:9/registry", "cannot be opened"),
        ("no url", "not a supported database URL"),
        ("oracle+nothing://x", "not a supported database URL"),
        ("sqlite:////proc/no/registry.db", "FLANMOE_DATABASE_URL|No such file|/proc"),
    ],
)
def test_open_engine_unusable_database_fails_in_a_single_line(url, message):
    with pytest.raises((RegistryUnreachable, OSError), match=message) as failure:
        open_engine(url)
    assert "secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_open_engine_newer_schema_revision_fails_in_a_single_line(tmp_path):
    path = tmp_path / "registry.db"
    open_engine(f"sqlite:///{path}").dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.close()
    with pytest.raises(UnsupportedRegistry, match="'0099', newer than '0001'") as failure:
        open_engine(f"sqlite:///{path}")
    assert "upgrade flanmoe" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_database_url_environment_variable_replaces_sqlite(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    assert database_url(tmp_path) == f"sqlite:///{tmp_path}/.flanmoe/registry.db"
    monkeypatch.setenv("FLANMOE_DATABASE_URL", "postgresql://there")
    assert database_url(tmp_path) == "postgresql://there"
