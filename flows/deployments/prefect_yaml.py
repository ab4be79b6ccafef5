"""Read the deployments of prefect.yaml, Prefect's own file format."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yaml import YAMLError

from flows.config.environment import PROJECT_VARIABLE
from flows.config.yaml_file import parse_yaml
from flows.errors import InvalidDeployment

FILE = "prefect.yaml"
_VARIABLE = re.compile(r"\{\{\s*\$(\w+)\s*\}\}")
_SUPPORTED = ConfigDict(extra="forbid", frozen=True)


class CronSchedule(BaseModel):
    """A schedule of a deployment; `slug` identifies it when it is updated."""

    model_config = _SUPPORTED

    slug: str
    cron: str
    timezone: str = "UTC"
    active: bool = True


class WorkPoolReference(BaseModel):
    """The work pool and the queue that a deployment's runs wait in."""

    model_config = _SUPPORTED

    name: str
    work_queue_name: str = "default"
    job_variables: dict[str, Any] = Field(default_factory=dict)
    """Values of the pool's job template, for example `env`."""


class DeploymentDefinition(BaseModel):
    """A deployment: one flow with parameters, a work pool and schedules."""

    model_config = _SUPPORTED

    name: str
    entrypoint: str
    work_pool: WorkPoolReference
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    schedules: list[CronSchedule] = Field(default_factory=list)
    concurrency_limit: int | None = Field(default=None, ge=1)


class PrefectFile(BaseModel):
    """prefect.yaml: the steps before each run, and the deployments."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    pull: list[dict[str, Any]] = Field(default_factory=list)
    deployments: list[DeploymentDefinition]


def read_prefect_file(project: Path) -> PrefectFile:
    """Read prefect.yaml; `{{ $NAME }}` stands for an environment variable, as in `prefect deploy`.

    Args:
        project: folder with prefect.yaml; the value of $FLANMOE_PROJECT_DIR unless that is set.

    Raises:
        InvalidDeployment: the file is missing or malformed, or names a variable that is not set.
    """
    path = project / FILE
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidDeployment(f"{path} is missing; copy it from a checkout of flanmoe") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise InvalidDeployment(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    variables = {PROJECT_VARIABLE: str(project), **os.environ}
    try:
        return PrefectFile.model_validate(_substitute(data, variables))
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(map(str, detail["loc"]))
        raise InvalidDeployment(
            f"{path}: {key}: {detail['msg']}; `flanmoe deploy` supports the keys that the "
            "project's own file has"
        ) from None
    except KeyError as error:
        raise InvalidDeployment(
            f"{path}: the environment variable {error.args[0]} is not set; set it, or remove it "
            "from the file"
        ) from None


def _substitute(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _substitute(entry, variables) for key, entry in value.items()}
    if isinstance(value, list):
        return [_substitute(entry, variables) for entry in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: variables[match[1]], value)
    return value
