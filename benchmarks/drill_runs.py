"""The runs of a drill, as a command and as a deployment, and the stages that they execute."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import httpx

STAGES = ("train", "evaluate")
UNFINISHED = ["RUNNING", "PENDING", "CANCELLING"]
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class DrillRun(Protocol):
    """One attempt to run the pipeline."""

    def has_ended(self) -> bool:
        """Return whether it has ended, in any way."""

    def await_success(self, timeout_s: float) -> bool:
        """Wait until it has ended; return whether it succeeded."""

    def output(self) -> str:
        """Return what it said about a failure."""


@dataclass
class CommandRun:
    """`flanmoe run` in a process."""

    process: subprocess.Popen[str]

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def await_success(self, timeout_s: float) -> bool:
        return self.process.wait(timeout_s) == 0

    def output(self) -> str:
        return self.process.stdout.read() if self.process.stdout else ""


@dataclass
class PrefectHistory:
    """The API of a Prefect server."""

    url: str

    def flow_runs(self, states: list[str]) -> list[dict[str, Any]]:
        """Return the flow runs in states."""
        body = {"flow_runs": {"state": {"type": {"any_": states}}}}
        runs: list[dict[str, Any]] = self._request("/flow_runs/filter", body)
        return runs

    def flow_run(self, number: str) -> dict[str, Any]:
        """Return a flow run."""
        run: dict[str, Any] = self._request(f"/flow_runs/{number}")
        return run

    def start(self, deployment: str) -> DeployedRun:
        """Start a run of a deployment, which a worker executes."""
        number = self._request(f"/deployments/name/{deployment}")["id"]
        run = self._request(f"/deployments/{number}/create_flow_run", {})
        return DeployedRun(self, run["id"])

    def _request(self, path: str, body: dict[str, Any] | None = None) -> Any:
        method = "GET" if body is None else "POST"
        with httpx.Client(trust_env=False, timeout=30) as client:
            response = client.request(method, f"{self.url}{path}", json=body)
        return response.raise_for_status().json()


@dataclass
class DeployedRun:
    """A run of a deployment."""

    history: PrefectHistory
    id: str

    def has_ended(self) -> bool:
        return self._state()["type"] in FINAL

    def await_success(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.5)
        return bool(self._state()["type"] == "COMPLETED")

    def output(self) -> str:
        state = self._state()
        return f"{state['type']}: {state['message']}"

    def has_started(self) -> bool:
        """Return whether a process has executed it."""
        return self.history.flow_run(self.id)["start_time"] is not None

    def ended_at(self) -> float:
        """Return when it reached its final state, in seconds since 1970."""
        return datetime.fromisoformat(self._state()["timestamp"]).timestamp()

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.history.flow_run(self.id)["state"]
        return state


@dataclass
class StageWatch:
    """Samples which stages run in a project; counts samples with a stage, and with two copies."""

    project: Path
    num_samples: int = 0
    overlaps: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> StageWatch:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def processes(self) -> list[tuple[str, int]]:
        """Return name and number of each process that executes a stage of the project.

        A child that a stage has just forked, still with the stage's command line, is none.
        """
        running, parents = [], {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_text(errors="replace").rstrip("\0").split("\0")
                program = next((i for i, word in enumerate(words) if word.endswith("/flanmoe")), -1)
                verb = "".join(words[program + 1 : program + 2])
                if program >= 0 and verb in STAGES and (path / "cwd").readlink() == self.project:
                    pid = int(path.name)
                    parents[pid] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
                    running.append(("@".join(words[program + 1 :]), pid))
            except OSError:  # it has ended
                continue
        return [(name, pid) for name, pid in running if parents[pid] not in parents]

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            counts = Counter(name for name, _ in self.processes())
            self.num_samples += bool(counts)
            self.overlaps += [name for name, number in counts.items() if number > 1]
