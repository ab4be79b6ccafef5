"""The promotion policy of a project, which all its workspaces use.

Which file it is says params.yaml of the project itself, never that of a workspace: an ad-hoc run
cannot loosen the gates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.config.load import read_params
from flows.errors import InvalidParams
from registry.params import RegistryParams


def policy_path(project: Path) -> Path:
    """Return the policy file of a project; it need not exist.

    Raises:
        InvalidParams: params.yaml of the project cannot be read.
    """
    configured = _configured_policy(read_params(project / "params.yaml"))
    return project / (configured or RegistryParams().policy)


def require_project_policy(params: dict[str, Any], source: str, project: Path) -> None:
    """Check that parameters for a workspace name no other policy than the project's.

    Args:
        params: parameters of the workspace, as plain data.
        source: name of their file, the start of the error line.
        project: the project that the workspace belongs to.

    Raises:
        InvalidParams: they do.
    """
    configured = _configured_policy(params)
    expected = policy_path(project)
    if configured is not None and project / configured != expected:
        raise InvalidParams(
            f"{source}: registry.policy: {configured!r} is another file than the project's "
            f"({expected}); workspaces use the policy of the project, remove the key"
        )


def _configured_policy(params: dict[str, Any]) -> str | None:
    """Return `registry.policy`; None without the key."""
    registry = params.get("registry")
    value = registry.get("policy") if isinstance(registry, dict) else None
    return value if isinstance(value, str) and value else None
