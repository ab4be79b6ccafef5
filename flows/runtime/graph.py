"""The stages and their order, read from dvc.yaml by DVC itself: the graph is written once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.errors import FlowError


@dataclass(frozen=True)
class Graph:
    """Stages in an order in which each comes after all it depends on."""

    order: tuple[str, ...]
    needs: dict[str, frozenset[str]]
    """Stage -> the stages it directly depends on."""
    changed: frozenset[str]
    """Stages that DVC would run again now; those after them may follow."""


def read(workspace: Path) -> Graph:
    """Raises FlowError if dvc.yaml or dvc.lock cannot be read."""
    import networkx
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(workspace)) as repo:
            graph = repo.index.graph
            # DVC's edges point from a stage to what it needs.
            # Names, not addresses: those depend on the folder this process was started in.
            order = [stage.name for stage in networkx.topological_sort(graph.reverse())]
            needs = {
                stage.name: frozenset(other.name for other in graph.successors(stage))
                for stage in graph.nodes
            }
            named = {stage.addressing: stage.name for stage in graph.nodes}
            changed = frozenset(
                named[address]
                for address, reasons in repo.status().items()
                if reasons != ["always changed"]
            )
    except DvcException as error:
        raise FlowError(f"{workspace / 'dvc.yaml'}: {' '.join(str(error).split())}") from None
    return Graph(order=tuple(order), needs=needs, changed=changed)
