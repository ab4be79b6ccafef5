"""The stages and their order, read from dvc.yaml by DVC, so that they are defined only there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.errors import FlowError


@dataclass(frozen=True)
class Graph:
    """The stages of dvc.yaml."""

    order: tuple[str, ...]
    """Names in topological order: each stage comes after its dependencies."""
    dependencies: dict[str, frozenset[str]]
    """Stage -> the stages it directly depends on."""
    changed: frozenset[str]
    """Stages that DVC would run now; stages that depend on them may run as well."""


def read_graph(workspace: Path) -> Graph:
    """Read the graph and the state of its stages.

    Raises:
        FlowError: dvc.yaml or dvc.lock cannot be read.
    """
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(workspace)) as repo:
            graph = repo.index.graph
            # An edge of DVC's graph points from a stage to its dependency. Stages are identified
            # by name, because DVC's addresses are relative to the current directory.
            order = [stage.name for stage in networkx.topological_sort(graph.reverse())]
            dependencies = {
                stage.name: frozenset(other.name for other in graph.successors(stage))
                for stage in graph.nodes
            }
            name_by_address = {stage.addressing: stage.name for stage in graph.nodes}
            changed = frozenset(
                name_by_address[address]
                for address, reasons in repo.status().items()
                if reasons != ["always changed"]
            )
    except DvcException as error:
        raise FlowError(f"{workspace / 'dvc.yaml'}: {' '.join(str(error).split())}") from None
    return Graph(order=tuple(order), dependencies=dependencies, changed=changed)
