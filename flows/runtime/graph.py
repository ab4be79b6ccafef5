"""The stages and their order, read from dvc.yaml by DVC, so that they are defined only there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
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

    def up_to(self, targets: Collection[str]) -> Graph:
        """Return the part of the graph that ends with the targets.

        Args:
            targets: names of stages; `train` stands for `train@RUN` of every run.

        Raises:
            FlowError: dvc.yaml has no such stage.
        """
        names = [stage for target in targets for stage in self._expand(target)]
        needed: set[str] = set()
        while names:
            stage = names.pop()
            if stage not in needed:
                needed.add(stage)
                names += self.dependencies[stage]
        return Graph(
            order=tuple(stage for stage in self.order if stage in needed),
            dependencies={stage: self.dependencies[stage] for stage in needed},
            changed=self.changed & needed,
        )

    def _expand(self, target: str) -> list[str]:
        stages = [stage for stage in self.order if target in (stage, stage.partition("@")[0])]
        if not stages:
            known = sorted({*self.order, *(stage.partition("@")[0] for stage in self.order)})
            nearest = get_close_matches(target, known, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(known)}"
            raise FlowError(f"dvc.yaml: stage {target!r} is unknown; {hint}")
        return stages


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
        raise FlowError(f"{workspace / 'dvc.yaml'}: {_describe(error)}") from None
    return Graph(order=tuple(order), dependencies=dependencies, changed=changed)


def _describe(error: Exception) -> str:
    """Return DVC's message with what it prints beside it: keys, or line and column."""
    cause = getattr(error, "exc", None)
    details = [str(each) for each in getattr(cause, "errors", ())]
    if not details and cause is not None and cause.__cause__ is not None:
        details = [str(cause.__cause__)]
    return " ".join(
        ": ".join([str(error), "; ".join(details)] if details else [str(error)]).split()
    )
