"""What a flow run shows in Prefect beside its states: labels, parameters, and later its results.

A run does not fail because Prefect's server cannot store these.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.runtime.workspace import project_of
from models.code_commit import git_commit


@contextmanager
def optional_records(
    logger: logging.Logger | logging.LoggerAdapter[logging.Logger],
) -> Iterator[None]:
    """Log a failure of the block, which asks the server at most once, instead of raising it."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            yield
    except Exception as error:
        logger.warning("not recorded in Prefect: %s", error)


def label_run(workspace: Path, model: str) -> None:
    """Label the present flow run, tag it with workspace and model, and store its parameters.

    Args:
        workspace: folder with params.yaml.
        model: the registered model.
    """
    text = (workspace / "params.yaml").read_text(encoding="utf-8")
    labels: dict[str, Any] = {
        "flanmoe.workspace": str(workspace),
        "flanmoe.commit": git_commit(project_of(workspace)),
        "flanmoe.params_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "flanmoe.model": model,
    }
    tags = {*flow_run.tags, f"workspace:{workspace.name}", f"model:{model}"}
    with get_client(sync_client=True) as client:
        client.update_flow_run_labels(flow_run.id, labels)
        client.update_flow_run(flow_run.id, tags=sorted(tags))
    create_markdown_artifact(
        key="params",
        markdown=f"```yaml\n{text}\n```",
        description=f"params.yaml of {workspace}",
    )
