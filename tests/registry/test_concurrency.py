"""Several processes use one registry at once."""

import multiprocessing

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from registry.session import transaction
from registry.tables import CHAMPION, AliasRow
from tests.registry.concurrency import open_and_insert, promote_in_order

CONTEXT = multiprocessing.get_context("forkserver")
# The registry is imported once for all processes.
CONTEXT.set_forkserver_preload(["tests.registry.concurrency"])


def test_database_rejects_a_second_champion(registry, submit):
    registry.register("m", submit(accuracy=0.6))
    registry.register("m", submit(accuracy=0.7))
    registry.promote("m", 1, actor="test")
    with pytest.raises(IntegrityError), transaction(registry.engine) as session:
        session.execute(insert(AliasRow).values(model_id=1, name=CHAMPION, version_id=2))


@pytest.mark.process
def test_concurrent_promotions_end_with_the_best_champion(registry, url, submit, tmp_path):
    for i in range(6):
        registry.register("m", submit(accuracy=0.3 + i / 10))
    registry.engine.dispose()
    results = CONTEXT.Queue()
    orders = ([*range(1, 7)], [2, 4, 6, 1, 3, 5], [*range(3, 7), 1, 2])
    workers = [
        CONTEXT.Process(target=promote_in_order, args=(url, tmp_path / "artifacts", order, results))
        for order in orders
    ]
    for worker in workers:
        worker.start()
    num_passed = sum(results.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert [v.version for v in registry.versions("m") if v.is_champion] == [6]
    # Each champion but the last was demoted, so no promotion was lost.
    entries = registry.history("m")
    num_promoted = sum(entry.kind == "promoted" for entry in entries)
    num_demoted = sum(entry.kind == "demoted" for entry in entries)
    assert num_demoted == num_promoted - 1
    assert num_passed >= num_promoted  # promoting the champion again changes nothing


@pytest.mark.process
def test_processes_migrate_a_new_database_at_once(url):
    results = CONTEXT.Queue()
    workers = [CONTEXT.Process(target=open_and_insert, args=(url, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=40) for _ in workers] == ["done"] * 3
    for worker in workers:
        worker.join(60)
