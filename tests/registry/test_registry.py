"""Registering, promoting and history, on SQLite and on PostgreSQL."""

import multiprocessing
import re
import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from registry.errors import GateFailed, InvalidRecord, UnknownVersion, Unreachable
from registry.intake import read_submission
from registry.params import GateParams
from registry.session import database_url, open_engine, transaction
from registry.store import Registry
from registry.tables import Base, Model, Version

GATES = GateParams()


def test_migrations_make_the_tables_of_the_classes(registry):
    with registry.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_a_version_lists_what_scripts_need(registry, submit):
    registry.register("m", submit(accuracy=0.6))
    (version,) = registry.versions()
    expected = {
        "model": "m", "version": 1, "name": "run", "stage": "candidate", "accuracy": 0.6,
        "error": 0.01, "total_parameters": 2000, "active_parameters": 1000,
        "flops_per_token": 1e6,
    }  # fmt: skip
    assert expected.items() <= version.items()
    assert version["run_record"]["git_commit"] == "abc"
    assert registry.show("m", 1)["evaluation"]["tasks"][0]["task"] == "s/t"


def test_the_same_result_is_registered_once(registry, submit):
    submission = submit()
    assert registry.register("m", submission)["version"] == 1
    assert registry.register("m", submission)["version"] == 1
    assert registry.register("m", submit(accuracy=0.7))["version"] == 2
    assert registry.register("other", submission)["version"] == 1
    assert len(registry.versions()) == 3


def test_training_again_does_not_touch_kept_weights(registry, submit):
    submission = submit()
    kept = Path(registry.register("m", submission)["artifact"])
    shutil.rmtree(submission.folder)
    assert (kept / "weights" / "model.safetensors").read_bytes() == b"run 0.6"
    assert (kept / "tokenizer" / "spiece.model").read_bytes() == b"pieces"
    assert (kept / "run.json").is_file()


def test_the_best_becomes_champion_and_replaces_a_lesser_one(registry, submit):
    for accuracy in (0.5, 0.7, 0.6):
        registry.register("m", submit(accuracy=accuracy))
    decision = registry.promote_best("m", [1, 2, 3], GATES, actor="test")
    assert (decision.number, decision.changed) == (2, True)
    assert registry.champion("m")["version"] == 2
    again = registry.promote_best("m", [1, 2, 3], GATES, actor="test")
    assert (again.number, again.changed) == (2, False)
    registry.register("m", submit(accuracy=0.8))
    assert registry.promote_best("m", [4], GATES, actor="test").number == 4
    stages = [version["stage"] for version in registry.versions("m")]
    assert stages == ["candidate", "archived", "candidate", "champion"]
    changes = [(h["version"], h["from"], h["to"]) for h in registry.history("m")[4:]]
    assert (2, "champion", "archived") in changes
    assert (4, "candidate", "champion") in changes
    assert registry.history("m")[-1]["evidence"][0]["name"] == "weights_kept"


def test_equal_accuracy_goes_to_fewer_flops(registry, submit):
    registry.register("m", submit(name="large", flops=2e6))
    registry.register("m", submit(name="small", flops=1e6))
    assert registry.promote_best("m", [1, 2], GATES, actor="test").number == 2


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({"accuracy": 0.255}, "above_chance"),
        ({"items": 10}, "enough_items"),
        ({"partial": True}, "complete"),
        ({"contaminated": 1}, "uncontaminated: at worst 1 of 400 items (s)"),
        ({"contaminated": None}, "uncontaminated: the evaluation does not say"),
    ],
)
def test_gates_refuse(registry, submit, changes, gate):
    registry.register("m", submit(**changes))
    with pytest.raises(GateFailed, match=re.escape(gate)):
        registry.promote("m", 1, GATES, actor="test")
    decision = registry.promote_best("m", [1], GATES, actor="test")
    assert decision.number is None
    assert gate in decision.reason
    registry.promote("m", 1, GATES, actor="me", override="we know")
    assert registry.champion("m")["version"] == 1
    last = registry.history("m")[-1]
    assert (last["reason"], last["actor"]) == ("override: we know", "me")
    assert any(not entry["passed"] for entry in last["evidence"])


def test_lost_weights_are_not_promoted(registry, submit):
    kept = Path(registry.register("m", submit())["artifact"])
    (kept / "weights" / "model.safetensors").unlink()
    with pytest.raises(GateFailed, match="weights_kept"):
        registry.promote("m", 1, GATES, actor="test")


def test_scores_on_other_items_are_not_compared(registry, submit):
    registry.register("m", submit(accuracy=0.5))
    registry.promote("m", 1, GATES, actor="test")
    registry.register("m", submit(accuracy=0.9, benchmark="c" * 64))
    with pytest.raises(GateFailed, match="other items"):
        registry.promote("m", 2, GATES, actor="test")


def test_no_gain_no_promotion(registry, submit):
    registry.register("m", submit(accuracy=0.6))
    registry.promote("m", 1, GATES, actor="test")
    registry.register("m", submit(name="twin", accuracy=0.6))
    with pytest.raises(GateFailed, match="better_than_champion"):
        registry.promote("m", 2, GATES, actor="test")


def test_what_is_not_there_is_named(registry, submit):
    with pytest.raises(UnknownVersion, match="no model is called 'm'; registered: none yet"):
        registry.show("m", 1)
    registry.register("m", submit())
    with pytest.raises(UnknownVersion, match=r"no version 7; it has \[1\]"):
        registry.promote("m", 7, GATES, actor="test")
    with pytest.raises(UnknownVersion, match="has no champion"):
        registry.champion("m")


def test_the_database_itself_refuses_a_second_champion(registry, submit):
    registry.register("m", submit(accuracy=0.6))
    registry.register("m", submit(accuracy=0.7))
    registry.promote("m", 1, GATES, actor="test")
    with pytest.raises(IntegrityError), transaction(registry.engine) as session:
        session.execute(update(Version).where(Version.number == 2).values(stage="champion"))


def promote_many(url, artifacts, numbers, results):
    registry, wins = Registry(open_engine(url), artifacts), 0
    for number in numbers:
        try:
            registry.promote("m", number, GATES, actor=f"process {number}")
            wins += 1
        except GateFailed:
            pass
    results.put(wins)


def test_one_champion_under_concurrent_promotions(registry, url, submit, tmp_path):
    accuracies = [0.5 + i / 100 for i in range(12)]
    for accuracy in accuracies:
        registry.register("m", submit(accuracy=accuracy))
    registry.engine.dispose()
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    orders = ([*range(1, 13)], [*range(2, 13, 2), *range(1, 13, 2)], [*range(3, 13), 1, 2])
    workers = [
        context.Process(target=promote_many, args=(url, tmp_path / "artifacts", order, results))
        for order in orders
    ]
    for worker in workers:
        worker.start()
    wins = [results.get(timeout=40) for _ in workers]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    champions = [v for v in registry.versions("m") if v["stage"] == "champion"]
    assert [champion["version"] for champion in champions] == [12]
    # Every promotion but the last was followed by its archiving: nothing was overwritten unseen.
    moves = registry.history("m")
    promoted = [h for h in moves if h["to"] == "champion"]
    archived = [h for h in moves if h["to"] == "archived"]
    assert len(archived) == len(promoted) - 1
    assert sum(wins) >= len(promoted)  # promoting the champion again is no change


def migrate(url, results):
    with transaction(open_engine(url)) as session:
        session.execute(insert(Model).values(name=multiprocessing.current_process().name))
    results.put("done")


def test_several_processes_may_open_a_new_database_at_once(url):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=migrate, args=(url, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=40) for _ in workers] == ["done"] * 3
    for worker in workers:
        worker.join(60)


# No database needed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://someone:secret@127.0.0.1:9/registry", "cannot be used"),
        ("no url", "is no database URL"),
        ("oracle+nothing://x", "is no database URL"),
        ("sqlite:////proc/no/registry.db", "FLANMOE_DATABASE_URL|No such file|/proc"),
    ],
)
def test_a_database_that_cannot_be_used(url, told):
    with pytest.raises((Unreachable, OSError), match=told) as caught:
        open_engine(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_url_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    assert database_url(tmp_path) == f"sqlite:///{tmp_path}/.flanmoe/registry.db"
    monkeypatch.setenv("FLANMOE_DATABASE_URL", "postgresql://there")
    assert database_url(tmp_path) == "postgresql://there"


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("run.json", lambda p: p.unlink(), "run.json is missing"),
        ("run.json", lambda p: p.write_text("{"), "run.json is not JSON"),
        ("run.json", lambda p: p.write_text(p.read_text().replace('"seed": 0', '"seed": "x"')),
         "run.json: seed:"),
        ("run.json", lambda p: p.write_text(p.read_text().replace(
            '"schema_version": 1', '"schema_version": 2')), "schema_version"),
        ("evaluation.json", lambda p: p.write_text(p.read_text().replace(
            '"accuracy": 0.6', '"accuracy": 1.6')), "evaluation.json: accuracy:"),
        ("weights/model.safetensors", lambda p: p.write_bytes(b"r"), "does not match the checksum"),
        ("weights/model.safetensors", lambda p: p.unlink(), "model.safetensors is missing"),
        ("samples.parquet", lambda p: p.write_bytes(b""), "does not match the checksum"),
    ],
)  # fmt: skip
def test_a_damaged_submission_is_named(submit, file, change, told):
    submission = submit()
    change(submission.folder / file)
    with pytest.raises(InvalidRecord, match=told):
        read_submission(submission.folder, submission.tokenizer)


def test_an_evaluation_of_other_weights(submit):
    submission = submit()
    path = submission.folder / "evaluation.json"
    path.write_text(path.read_text().replace(submission.run.weights_sha256, "0" * 64))
    with pytest.raises(InvalidRecord, match="of other weights"):
        read_submission(submission.folder, submission.tokenizer)
