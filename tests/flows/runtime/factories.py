"""A workspace without data, whose stages are replaced by functions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace

from rich.console import Console

from flows.runtime.display import Display
from flows.runtime.graph import Graph
from flows.runtime.processes import ProcessGroups
from flows.runtime.run_context import RunContext
from registry.promotion import PromotionDecision

DIAMOND = {"fetch": (), "read": ("fetch",), "clean": ("fetch",), "mix": ("read", "clean")}
"""Stage -> its dependencies."""


class FakeRegistry:
    """Records what the flow registers and promotes."""

    def __init__(self):
        self.registered = []
        self.promotions = []

    def register(self, model, submission):
        self.registered.append(submission)
        return SimpleNamespace(version=len(self.registered))

    def promote_best(self, model, numbers, gates, *, actor):
        self.promotions.append((model, numbers, actor))
        return PromotionDecision(
            champion_version=numbers[-1], changed=True, reason="version 2 is better", reports=()
        )

    def versions(self, model):
        return [SimpleNamespace(version=number) for number in range(1, 4)]


@dataclass
class FakeStages:
    """Stands in for DVC: records the stages it runs; an outcome is a status or an exception.

    Several outcomes of a stage are those of its successive attempts; the last one repeats.
    """

    outcomes: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    attempts: dict = field(default_factory=lambda: defaultdict(int))

    def run_with_dvc(self, stage, workspace, processes, on_progress):
        """Take the place of `stage_runner.run_with_dvc`."""
        self.calls.append(stage)
        outcomes = self.outcomes.get(stage, ["ran"])
        outcome = outcomes[min(self.attempts[stage], len(outcomes) - 1)]
        self.attempts[stage] += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def run_context(workspace, console=None, changed=None, **flows):
    """Return the context of a run with four stages and two training runs."""
    parameters = {"max_parallel_stages": 2, "retries": 2, **flows}
    return RunContext(
        workspace=workspace,
        params=SimpleNamespace(
            flows=SimpleNamespace(**parameters),
            models=SimpleNamespace(runs={"base": None, "instruct": None}),
            registry=SimpleNamespace(model="flan", gates=None),
        ),
        graph=Graph(
            order=tuple(DIAMOND),
            dependencies={stage: frozenset(needs) for stage, needs in DIAMOND.items()},
            changed=frozenset(DIAMOND if changed is None else changed),
        ),
        registry=FakeRegistry(),
        processes=ProcessGroups(),
        display=Display(console or Console(quiet=True)),
    )
