"""Functions that the processes of test_concurrency.py run."""

import multiprocessing

from sqlalchemy import insert

from registry.artifacts.store import ArtifactStore
from registry.errors import GateFailed
from registry.session import open_engine, transaction
from registry.store import Registry
from registry.tables import ModelRow


def promote_in_order(url, artifacts, numbers, results):
    """Promote the versions one after another; report how many passed the gates."""
    store, policy = ArtifactStore.in_folder(artifacts), artifacts.parent / "policy.yaml"
    registry, num_promoted = Registry(open_engine(url), store, policy), 0
    for number in numbers:
        try:
            registry.promote("m", number, actor=f"process {number}")
            num_promoted += 1
        except GateFailed:
            pass
    results.put(num_promoted)


def open_and_insert(url, results):
    """Open, and so migrate, the database, and insert a row."""
    with transaction(open_engine(url)) as session:
        session.execute(insert(ModelRow).values(name=multiprocessing.current_process().name))
    results.put("done")
