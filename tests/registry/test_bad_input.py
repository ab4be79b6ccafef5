"""Input that is not usable is refused in one line, before anything is stored."""

import json
import re
import sqlite3
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from registry.artifacts.store import ArtifactStore
from registry.errors import (
    InterventionRefused,
    InvalidName,
    InvalidRecord,
    RegistryUnreachable,
)
from registry.intake import read_submission
from registry.query.search import VersionQuery
from registry.registration import add_version
from registry.session import open_engine, transaction
from registry.store import Registry
from registry.tables import EventRow, ModelRow, VersionRow
from tests.registry.factories import edit_json, evaluation_record, run_record, task_score

HOSTILE_NAMES = (
    "'; DROP TABLE versions; --", "../../etc/passwd", "<script>alert(1)</script>", "模型 ü مرحبا",
    "100 %_\\", "[/bold]", "v3", 'a"b', "{x}", "%(name)s", "🙂",
)  # fmt: skip


def test_names_of_any_script_are_stored_and_selected_as_they_are(registry, submit):
    for i, name in enumerate(HOSTILE_NAMES):
        submission = submit(f"run{i}")
        submission.run.__dict__["name"] = name  # a file name could not have each of them
        registry.register(name, submission)
    for i, name in enumerate(HOSTILE_NAMES):
        escaped = name.replace("\\", "\\\\").replace("'", "\\'")
        page = registry.search(VersionQuery(where=f"name = '{escaped}'", text=name, model=name))
        assert [(version.model, version.name) for version in page.versions] == [(name, name)], i
    assert len(registry.versions()) == len(HOSTILE_NAMES)


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\nb", "a\0b", "\ud800", " a"])
def test_register_unusable_model_name_is_an_error(registry, submit, name):
    with pytest.raises(InvalidName, match=r"registry\.model: .* is not a name; expected 1 to 200"):
        registry.register(name, submit())
    assert registry.search(VersionQuery()).num_matches == 0


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        ("evaluation.json", "accuracy", "NaN", "NaN is not a number"),
        ("evaluation.json", "standard_error", "NaN", "NaN is not a number"),
        ("evaluation.json", "normalised", "-Infinity", "-Infinity is not a number"),
        ("evaluation.json", "normalised", "1e999", "1e999 is not a number"),
        ("evaluation.json", "num_items", 2**31, "num_items: Input should"),
        ("evaluation.json", "schema_version", 99, "schema_version 99 is newer than"),
        ("run.json", "validation_loss", "NaN", "NaN is not a number; the run may have diverged"),
        ("run.json", "params", '{"a": {"b": NaN}}', "NaN is not a number"),
        ("run.json", "params", r'{"a": "\ud83d"}', r"the character \ud83d is not valid"),
        ("run.json", "params", r'{"a": "x\u0000"}', r"the character \u0000 is not valid"),
        ("run.json", "params", '{"a":' * 9999 + "1" + "}" * 9999, "nested too deeply"),
        ("run.json", "seed", 2**63, "seed: Input should be less than"),
        ("run.json", "seed", -(2**63) - 1, "seed: Input should be greater than"),
        ("run.json", "name", r'"r\nun"', "name: String should match pattern"),
        ("run.json", "name", f'"{"x" * 201}"', "name: String should have at most 200"),
        ("execution.json", "git_commit", f'"{"x" * 10_000_000}"', "git_commit: String should"),
        ("run.json", "schema_version", 3, "schema_version 3 is newer than"),
    ],
)
def test_read_submission_unusable_value_is_an_error(submit, file, key, value, message):
    submission = submit()
    path = submission.folder / file
    pattern = rf'"{key}": (?:\{{\}}|"[^"]*"|[-+.e\d]+)'
    text, count = re.subn(pattern, lambda _: f'"{key}": {value}', path.read_text())
    assert count > 0
    path.write_text(text)
    with pytest.raises(InvalidRecord) as failure:
        read_submission(submission.folder, submission.tokenizer)
    assert message in str(failure.value)
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 500


def test_read_submission_escaped_texts_are_accepted(submit):
    submission = submit()
    texts = {"pair": "\U0001f642", "backslash": r"C:\u0000", "tab": "\t", "more": "\\\\u0000"}
    edit_json(submission.folder / "run.json", lambda record: record.update(params=texts))
    again = read_submission(submission.folder, submission.tokenizer)
    assert again.run.params == texts


def test_read_submission_repeated_task_is_an_error(submit):
    submission = submit()
    record = evaluation_record("run", [task_score(), task_score()])
    path = submission.folder / "evaluation.json"
    edit_json(path, lambda old: old.update(tasks=record["tasks"]))
    with pytest.raises(InvalidRecord, match="tasks: Value error, 's/t' occurs 2 times; expected"):
        read_submission(submission.folder, submission.tokenizer)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800"])
def test_texts_with_characters_that_no_database_stores_are_refused(registry, submit, text):
    registry.register("m", submit())
    changes = (
        lambda: registry.describe("m", 1, text, actor="a"),
        lambda: registry.describe("m", None, text, actor="a"),
        lambda: registry.add_note("m", 1, text, actor="a"),
        lambda: registry.set_tag("m", 1, "k", text, actor="a"),
        lambda: registry.set_tag("m", 1, text, "v", actor="a"),
        lambda: registry.set_alias("m", text, 1, actor="a"),
        lambda: registry.reject("m", 1, actor="a", reason=text),
        lambda: registry.set_pinned("m", 1, True, actor="a", reason=text),
    )
    for change in changes:
        with pytest.raises(InterventionRefused):
            change()
    assert len(registry.history()) == 1


def test_register_the_same_run_under_two_models_at_once_adds_it_to_both(registry, submit):
    """The second registration waits until the first commits, and then uses its run."""
    submission = submit()
    with transaction(registry.engine) as opened:
        opened.execute(insert(ModelRow).values(name="first", description=""))
    other = threading.Thread(target=registry.register, args=("second", submission))
    with transaction(registry.engine) as opened:
        model = opened.get(ModelRow, 1)
        add_version(opened, model, submission, "artifact")
        other.start()
        other.join(1)
        assert other.is_alive()
    other.join(30)
    first, second = registry.search(VersionQuery(sort="model")).versions
    assert (first.model, second.model) == ("first", "second")
    with transaction(registry.engine) as opened:
        assert opened.get(VersionRow, 1).run_id == opened.get(VersionRow, 2).run_id


def test_history_and_list_have_the_order_of_changes_if_a_clock_goes_backwards(registry, submit):
    past = datetime(2001, 1, 1, tzinfo=UTC)
    registry.register("m", submit("first"))
    registry.register("m", submit("second"))
    with transaction(registry.engine) as opened:
        opened.add(EventRow(model_id=1, version_id=2, kind="noted", actor="a", reason="late",
                             details={}, at=past))  # fmt: skip
    registry.set_tag("m", 1, "k", "v", actor="a")
    kinds = [entry.kind for entry in registry.history()]
    assert kinds == ["registered", "registered", "noted", "tagged"]
    assert [entry.kind for entry in registry.history(limit=2)] == ["noted", "tagged"]
    names = [version.name for version in registry.search(VersionQuery()).versions]
    assert names == ["second", "first"]


def test_roll_back_of_two_people_at_once_is_done_once(registry, submit):
    for number, accuracy in enumerate((0.4, 0.6, 0.8), 1):
        registry.register("m", submit(f"run{number}", accuracy))
        registry.promote("m", number, actor="flow")
    assert registry.roll_back("m", actor="ann", reason="bad", expected=3) == (3, 2)
    with pytest.raises(
        InterventionRefused, match=r"champion of 'm' is version 2, not 3; .*history"
    ):
        registry.roll_back("m", actor="bob", reason="bad", expected=3)
    assert registry.champion("m").version == 2


def test_changes_of_a_locked_or_read_only_file_fail_in_a_single_line(tmp_path, submit):
    path = tmp_path / "registry.db"
    registry = Registry(
        open_engine(f"sqlite:///{path}", wait_s=0.1),
        ArtifactStore.in_folder(tmp_path / "artifacts"),
    )
    registry.register("m", submit())

    def configure(pragma):
        with registry.engine.connect() as connection:
            connection.connection.driver_connection.execute(f"PRAGMA {pragma}")

    configure("query_only = ON")
    with pytest.raises(RegistryUnreachable, match="readonly database; make the file and its fold"):
        registry.set_tag("m", 1, "k", "v", actor="a")
    assert len(registry.versions()) == 1
    configure("query_only = OFF")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(RegistryUnreachable, match="database is locked; another process is wr"):
        registry.set_tag("m", 1, "k", "v", actor="a")
    assert len(registry.versions()) == 1  # reads go on
    blocker.rollback()
    blocker.close()
    registry.set_tag("m", 1, "k", "v", actor="a")


def test_changes_of_a_damaged_file_fail_in_a_single_line(tmp_path, submit):
    path = tmp_path / "registry.db"
    registry = Registry(
        open_engine(f"sqlite:///{path}"), ArtifactStore.in_folder(tmp_path / "artifacts")
    )
    for i in range(5):
        registry.register("m", submit(f"run{i}"))
    registry.engine.dispose()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(RegistryUnreachable, match="malformed; the file is damaged: restore it"):
        registry.search(VersionQuery(where="score > 1"))


def test_run_json_of_another_json_value_is_an_error(tmp_path, submit):
    submission = submit()
    for value in ([], "text", 3, None, run_record()["params"]):
        (submission.folder / "run.json").write_text(json.dumps(value))
        with pytest.raises(InvalidRecord, match=r"run\.json: "):
            read_submission(submission.folder, submission.tokenizer)
