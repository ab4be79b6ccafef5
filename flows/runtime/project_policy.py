"""The promotion policy of a project, which all its workspaces use.

Which file it is says params.yaml of the project itself, never that of a workspace: an ad-hoc run
cannot loosen the gates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_pipelines.suggestions import did_you_mean
from flows.config.load import read_params
from flows.config.schema import Params
from flows.errors import InvalidParams
from registry.errors import InvalidPolicy
from registry.params import RegistryParams
from registry.policy import Policy
from registry.policy_file import PolicyFile, load_policy
from registry.store import Registry


def policy_path(project: Path) -> Path:
    """Return the policy file of a project; it need not exist.

    Raises:
        InvalidParams: params.yaml of the project cannot be read.
    """
    configured = _configured_policy(read_params(project / "params.yaml"))
    return project / (configured or RegistryParams().policy)


def load_project_policy(project: Path) -> PolicyFile:
    """Read the promotion policy of a project, and check that it names existing suites.

    Raises:
        InvalidParams: params.yaml of the project cannot be read.
        InvalidPolicy: the policy has errors; one line per error.
    """
    policy_file = load_policy(policy_path(project))
    # The policy of a model has the values at the top, too, unless its section replaces them.
    errors = _suite_errors(policy_file.default) or [
        f"models.{model}.{error}"
        for model, policy in policy_file.by_model.items()
        for error in _suite_errors(policy)
    ]
    if errors:
        raise InvalidPolicy("\n".join(f"{policy_file.path}: {error}" for error in errors))
    return policy_file


def open_project_registry(project: Path, params: Params, *, create: bool = False) -> Registry:
    """Open the registry of a project with the project's policy; see `Registry.open`."""
    return Registry.open(
        project, params.registry.artifacts, policy_path=policy_path(project), create=create
    )


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


def _suite_errors(policy: Policy) -> list[str]:
    """Return a line for each name of a suite that does not exist: its limit would not hold."""
    from models.evaluation.suite import suite_names

    known = suite_names()
    names_by_key = {
        "evaluation.required_suites": policy.evaluation.required_suites,
        "data.max_contaminated_share_by_suite": policy.data.max_contaminated_share_by_suite,
        "comparison.max_suite_loss_by_suite": policy.comparison.max_suite_loss_by_suite,
    }
    return [
        f"{key}: no suite is called {name!r}; {did_you_mean(name, known)}suites are "
        f"{', '.join(known)}"
        for key, names in names_by_key.items()
        for name in names
        if name not in known
    ]


def _configured_policy(params: dict[str, Any]) -> str | None:
    """Return `registry.policy`; None without the key."""
    registry = params.get("registry")
    value = registry.get("policy") if isinstance(registry, dict) else None
    return value if isinstance(value, str) and value else None
