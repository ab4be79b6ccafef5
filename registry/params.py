"""Parameters of the registry: `registry.*` in params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from registry.policy_file import POLICY_FILE


@dataclass(frozen=True, kw_only=True)
class RegistryParams:
    """The registered model, the store of its artifacts, and the file of the promotion policy."""

    model: Annotated[str, Field(min_length=1, max_length=200)] = "flan-sample"
    """Name of the registered model; every run becomes a version of it."""
    artifacts: str = ""
    """Artifact store: a folder, absolute or relative to the project, or an fsspec URL such as
    s3://bucket/folder (credentials come from the environment). Empty: beside the SQLite file, or
    .flanmoe/artifacts for a database server. A store belongs to a single registry."""
    policy: Annotated[str, Field(min_length=1)] = POLICY_FILE
    """File of the promotion policy, relative to the project. Workspaces, also those of `--params`
    and `--set`, use the policy of the project."""
