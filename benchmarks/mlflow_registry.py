"""MLflow's registry on SQLite, for benchmarks.registry; runs in a Python that has mlflow.

    python benchmarks/mlflow_registry.py FOLDER VERSIONS METRICS

It fills a database, prints a JSON line with MLflow's version, then performs the operation of each
line on stdin and prints its seconds.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import time
from pathlib import Path

SUITE = "suite.mmlu"


def fill(database: Path, experiment: str, num_versions: int, num_metrics: int) -> None:
    """Add runs with metrics and a version for each, in MLflow's tables."""
    names = [SUITE, *(f"task.{i:03d}" for i in range(num_metrics - 1))]
    rng = random.Random(0)
    with sqlite3.connect(database) as connection:
        for number in range(1, num_versions + 1):
            run = f"{number:032x}"
            connection.execute(
                "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, "
                "lifecycle_stage, artifact_uri, experiment_id) VALUES (?, ?, 'UNKNOWN', 'ann', "
                "'FINISHED', ?, 'active', '/none', ?)",
                (run, f"run{number % 500}", number, int(experiment)),
            )
            values = [(name, 100 * rng.random(), run) for name in names]
            connection.executemany(
                "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                "VALUES (?, ?, 0, ?, 0, 0)",
                values,
            )
            connection.executemany(
                "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
                "VALUES (?, ?, 0, 0, 0, ?)",
                values,
            )
            connection.execute(
                "INSERT INTO model_versions (name, version, creation_time, last_updated_time, "
                "current_stage, source, run_id, status) VALUES "
                "('model', ?, ?, ?, 'None', '/none', ?, 'READY')",
                (number, number, number, run),
            )
    connection.close()


def main() -> None:
    """Fill the database, and time the operations that stdin names."""
    folder, num_versions, num_metrics = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow
    from mlflow.entities import Metric

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model("model")
    experiment = client.create_experiment("experiment")
    fill(folder / "mlflow.db", experiment, num_versions, num_metrics)
    names = [SUITE, *(f"task.{i:03d}" for i in range(num_metrics - 1))]

    def create_run_and_version() -> None:
        run = client.create_run(experiment)
        client.log_batch(run.info.run_id, [Metric(name, 50.0, 0, 0) for name in names])
        client.create_model_version("model", str(folder), run.info.run_id)

    def set_alias() -> None:
        client.set_registered_model_alias("model", "staging", "1")

    def search() -> None:
        client.search_runs([experiment], f"metrics.`{SUITE}` > 30", max_results=50)

    operations = {"create": create_run_and_version, "alias": set_alias, "search": search}
    print(json.dumps({"mlflow": mlflow.__version__}), flush=True)
    for line in sys.stdin:
        start, cpu_start = time.perf_counter(), time.process_time()
        operations[line.strip()]()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds}), flush=True)


if __name__ == "__main__":
    main()
