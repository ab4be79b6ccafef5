"""Add datasets, runs, aliases, states, several evaluations, verdicts and events.

A downgrade keeps what revision 0001 has no place for in the table `downgraded_0002`; the next
upgrade restores it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from registry.migrations import tables_0001, tables_0002
from registry.migrations.convert_0002 import (
    Row,
    Rows,
    downgrade_rows,
    stage_by_version,
    upgrade_rows,
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_archive = sa.Table(
    "downgraded_0002",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("table_name", sa.String(100), nullable=False),
    sa.Column("row", sa.JSON, nullable=False),
)


def upgrade() -> None:
    bind = op.get_bind()
    old = _read(tables_0001.IN_ORDER)
    archived = _read_archive()
    for table in reversed(tables_0001.IN_ORDER):
        table.drop(bind)
    op.add_column("models", sa.Column("description", sa.Text, nullable=False, server_default=""))
    tables_0002.metadata.create_all(bind)
    _write(tables_0002.IN_ORDER, _restore(archived, old) if archived else upgrade_rows(old))
    for row in archived["models"]:
        bind.execute(
            tables_0002.models.update()
            .where(tables_0002.models.c.id == row["id"])
            .values(description=row["description"])
        )
    _make_immutable()


def downgrade() -> None:
    bind = op.get_bind()
    new = _read((tables_0002.models, *tables_0002.IN_ORDER))
    _archive.create(bind)
    rows = [
        {"table_name": name, "row": {key: _to_json(value) for key, value in row.items()}}
        for name, table_rows in new.items()
        for row in table_rows
    ]
    if rows:
        bind.execute(_archive.insert(), rows)
    for table in reversed(tables_0002.IN_ORDER):
        table.drop(bind)
    if bind.dialect.name == "postgresql":
        bind.exec_driver_sql("DROP FUNCTION flanmoe_reject_change()")
    with op.batch_alter_table("models") as models:
        models.drop_column("description")
    for table in tables_0001.IN_ORDER:
        table.create(bind)
    _write(tables_0001.IN_ORDER, downgrade_rows(new))


def _restore(archived: Rows, old: Rows) -> Rows:
    """Return the archived rows, with what release 0.1.0 added or changed since the downgrade."""
    known = {row["id"] for row in archived["versions"]}
    added = upgrade_rows(
        {name: [row for row in rows if _version_of(row) not in known] for name, rows in old.items()}
    )
    next_run = 1 + max((row["id"] for row in archived["runs"]), default=0)
    run_by_digest = {row["digest"]: row["id"] for row in archived["runs"]}
    new_ids = {}
    for run in added["runs"]:
        new_ids[run["id"]] = run_by_digest.get(run["digest"], next_run)
        if run["digest"] not in run_by_digest:
            archived["runs"].append({**run, "id": next_run})
            next_run += 1
    for version in added["versions"]:
        archived["versions"].append({**version, "run_id": new_ids[version["run_id"]]})
    for name in ("version_states", "evaluations", "metrics"):
        archived[name] += added[name]
    next_speed = 1 + max((row["id"] for row in archived["speeds"]), default=0)
    archived["speeds"] += [{**row, "id": next_speed + i} for i, row in enumerate(added["speeds"])]
    _update_stages(archived, old)
    event_ids = {row["id"] for row in downgrade_rows(archived)["transitions"]}
    next_event = 1 + max((row["id"] for row in archived["events"]), default=0)
    new_events = [event for event in upgrade_rows(old)["events"] if event["id"] not in event_ids]
    archived["events"] += [{**row, "id": next_event + i} for i, row in enumerate(new_events)]
    return archived


def _update_stages(archived: Rows, old: Rows) -> None:
    """Apply changes of stage that release 0.1.0 made."""
    before = stage_by_version(archived)
    changed = upgrade_rows(
        {
            "versions": [row for row in old["versions"] if row["stage"] != before[row["id"]]],
            "evaluations": [],
            "transitions": [],
        }
    )
    states = {row["version_id"]: row["state"] for row in changed["version_states"]}
    for row in archived["version_states"]:
        row["state"] = states.get(row["version_id"], row["state"])
    champions = [row for row in old["versions"] if row["stage"] == "champion"]
    archived["aliases"] = [row for row in archived["aliases"] if row["name"] != "champion"] + [
        {"model_id": row["model_id"], "name": "champion", "version_id": row["id"]}
        for row in champions
    ]


def _version_of(row: Row) -> int:
    return int(row["version_id"] if "version_id" in row else row["id"])


def _read(tables: tuple[sa.Table, ...]) -> Rows:
    bind = op.get_bind()
    return {
        table.name: [
            dict(row)
            for row in bind.execute(sa.select(table).order_by(*table.primary_key)).mappings()
        ]
        for table in tables
    }


def _read_archive() -> Rows:
    bind = op.get_bind()
    rows: Rows = defaultdict(list)
    if sa.inspect(bind).has_table(_archive.name):
        for row in bind.execute(sa.select(_archive).order_by(_archive.c.id)).mappings():
            table = tables_0002.metadata.tables[row["table_name"]]
            rows[table.name].append(
                {key: _from_json(value, table.c[key].type) for key, value in row["row"].items()}
            )
        _archive.drop(bind)
    return rows


def _write(tables: tuple[sa.Table, ...], rows: Rows) -> None:
    bind = op.get_bind()
    for table in tables:
        if rows.get(table.name):
            bind.execute(table.insert(), rows[table.name])
            if bind.dialect.name == "postgresql" and "id" in table.c:
                # Rows with explicit ids do not advance the sequence.
                bind.execute(
                    sa.text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "  # noqa: S608
                        f"(SELECT max(id) FROM {table.name}))"
                    )
                )


def _make_immutable() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        bind.exec_driver_sql(
            "CREATE FUNCTION flanmoe_reject_change() RETURNS trigger AS $$ BEGIN "
            "RAISE EXCEPTION 'rows of %% are immutable', TG_TABLE_NAME; END $$ LANGUAGE plpgsql"
        )
    for table in tables_0002.IMMUTABLE:
        if bind.dialect.name == "postgresql":
            bind.exec_driver_sql(
                f"CREATE TRIGGER {table.name}_immutable BEFORE UPDATE OR DELETE OR TRUNCATE "
                f"ON {table.name} FOR EACH STATEMENT EXECUTE FUNCTION flanmoe_reject_change()"
            )
            continue
        for change in ("UPDATE", "DELETE"):
            bind.exec_driver_sql(
                f"CREATE TRIGGER {table.name}_no_{change.lower()} BEFORE {change} ON {table.name} "
                f"BEGIN SELECT RAISE(ABORT, 'rows of {table.name} are immutable'); END"
            )


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _from_json(value: Any, column_type: Any) -> Any:
    if isinstance(column_type, sa.DateTime) and value is not None:
        return datetime.fromisoformat(value)
    return value
