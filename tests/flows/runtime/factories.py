"""A workspace without data, whose stages are replaced by functions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from rich.console import Console

from flows.runtime.display import Display
from flows.runtime.graph import Graph
from flows.runtime.processes import ProcessGroups
from flows.runtime.run_context import RunContext
from models.replicate import Replicate
from registry.errors import UnknownVersion
from registry.gates.result import GateOutcome
from registry.promotion import PromotionDecision, PromotionReport
from tests.factories import wait_for

DIAMOND = {"fetch": (), "read": ("fetch",), "clean": ("fetch",), "mix": ("read", "clean")}
"""Stage -> its dependencies."""


class FakeRegistry:
    """Records what the flow registers and promotes."""

    def __init__(self):
        self.registered = []
        self.promotions = []
        self.other_items = ()
        """Versions that the first decision finds evaluated on other items."""

    def register(self, model, submission):
        self.registered.append(submission)
        return SimpleNamespace(version=len(self.registered))

    def promote_best(self, model, numbers, *, actor):
        self.promotions.append((model, numbers, actor))
        if self.other_items and len(self.promotions) == 1:
            report = PromotionReport(
                version=numbers[-1],
                outcome=GateOutcome.NEEDS_EVALUATION,
                reason="other items",
                gates=(),
                other_items=self.other_items,
            )
            return PromotionDecision(
                champion_version=1,
                changed=False,
                outcome=GateOutcome.NEEDS_EVALUATION,
                reason="other items",
                reports=(report,),
            )
        return PromotionDecision(
            champion_version=numbers[-1],
            changed=True,
            outcome=GateOutcome.PROMOTED,
            reason="version 2 is better",
            reports=(),
        )

    def show(self, model, number):
        return SimpleNamespace(version=number)

    def champion(self, model):
        raise UnknownVersion(f"unknown model {model!r}; registered: none")


@dataclass
class FakeStages:
    """Stands in for DVC: records the stages it runs; an outcome is a status or an exception.

    Several outcomes of a stage are those of its successive attempts; the last one repeats.
    """

    outcomes: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    time_limits: list = field(default_factory=list)
    attempts: dict = field(default_factory=lambda: defaultdict(int))

    def run_with_dvc(self, stage, workspace, processes, on_progress, on_note, *, time_limit_s):
        """Take the place of `stage_runner.run_with_dvc`."""
        self.calls.append(stage)
        self.time_limits.append(time_limit_s)
        outcomes = self.outcomes.get(stage, ["ran"])
        outcome = outcomes[min(self.attempts[stage], len(outcomes) - 1)]
        self.attempts[stage] += 1
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def run_context(workspace, console=None, changed=None, has_own_server=False, **flows):
    """Return the context of a run with four stages and two training runs."""
    parameters = {
        "max_parallel_stages": 2, "retries": 2, "max_stage_hours": None,
        "max_gpu_hours_per_run": None, "max_gpu_hours_per_week": None, **flows,
    }  # fmt: skip
    return RunContext(
        workspace=workspace,
        params=SimpleNamespace(
            flows=SimpleNamespace(**parameters),
            models=SimpleNamespace(
                runs={"base": None, "instruct": None},
                evaluation="params",
                replicates=lambda: [Replicate("base", 0), Replicate("instruct", 0)],
            ),
            registry=SimpleNamespace(model="flan"),
            dashboard=SimpleNamespace(address="127.0.0.1", port=8501),
        ),
        graph=Graph(
            order=tuple(DIAMOND),
            dependencies={stage: frozenset(needs) for stage, needs in DIAMOND.items()},
            changed=frozenset(DIAMOND if changed is None else changed),
        ),
        registry=FakeRegistry(),
        processes=ProcessGroups(),
        display=Display(console or Console(quiet=True)),
        has_own_server=has_own_server,
    )


def recorded_run(workspace):
    """Return the flow run of a workspace, and the recorded states of its tasks by name.

    Of a completed, failed or cancelled run, wait until its tasks are recorded.
    """
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=20,
        )
        flow_run = next(run for run in runs if run.parameters["workspace"] == str(workspace))
        flow_run_filter = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))

        def read_states():
            tasks = client.read_task_runs(flow_run_filter=flow_run_filter)
            return {task.name: task.state.type for task in tasks if task.state}

        # Task states reach the server as events, some time after the tasks have ended.
        if flow_run.state.is_final() and not flow_run.state.is_crashed():
            wait_for(lambda: read_states() and StateType.RUNNING not in read_states().values(), 20)
        return flow_run, read_states()
