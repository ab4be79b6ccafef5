"""Answers of registered versions, from `flanmoe predict --json` in a child process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dashboard.cached_queries import project_folder
from dashboard.child_process import ChildFailed, ChildResult, run_limited
from dashboard.frames import layer_label

TIMEOUT_VARIABLE = "FLANMOE_PREDICT_TIMEOUT_S"
MEMORY_VARIABLE = "FLANMOE_PREDICT_MEMORY_MB"
"""`dashboard.predict_timeout_s` and `predict_memory_mb` of the project's params.yaml."""
_DEFAULT_TIMEOUT_S = 120.0
_DEFAULT_MEMORY_MB = 8192


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer of a version, or why there is none."""

    text: str = ""
    num_tokens: int = 0
    seconds: float = 0.0
    is_finished: bool = True
    """Whether the answer ended before the limit of its tokens."""
    is_truncated: bool = False
    """Whether the start of the instruction was cut off."""
    tokens_by_layer: Mapping[str, Sequence[int]] | None = None
    """Tokens that each expert received, by MoE layer."""
    problem: str = ""
    """Why there is no answer, in one line; empty with one."""

    @property
    def tokens_per_second(self) -> float | None:
        """Generated tokens per second; None without a measurement."""
        return self.num_tokens / self.seconds if self.seconds > 0 else None


def answer_instruction(model: str, version: int, instruction: str, max_new_tokens: int) -> Answer:
    """Let a version answer an instruction; a failure is a line of the answer.

    Args:
        model: the registered model.
        version: number of the version.
        instruction: any text; the child process reads it from stdin.
        max_new_tokens: longest answer, in tokens.
    """
    timeout_s = float(os.environ.get(TIMEOUT_VARIABLE) or _DEFAULT_TIMEOUT_S)
    memory_mb = int(os.environ.get(MEMORY_VARIABLE) or _DEFAULT_MEMORY_MB)
    words = ["predict", "--json", "--measure", "--version", str(version), "--model", model]
    try:
        result = run_limited(
            "flows",
            [*words, "--max-new-tokens", str(max_new_tokens)],
            folder=project_folder(),
            timeout_s=timeout_s,
            memory_mb=memory_mb,
            text=json.dumps({"instruction": instruction}) + "\n",
            wait_s=timeout_s,
        )
    except ChildFailed as error:
        return Answer(problem=f"flanmoe predict: {error}")
    if result.returncode:
        limits = f"(limits: {memory_mb:,} MB, {timeout_s:g} s)"
        return Answer(problem=f"flanmoe predict: {result.last_line} {limits}")
    return _parse(result)


def _parse(result: ChildResult) -> Answer:
    try:
        content = json.loads(result.stdout.splitlines()[-1])
        return Answer(
            text=str(content["answer"]),
            num_tokens=int(content["num_tokens"]),
            seconds=float(content["seconds"]),
            is_finished=bool(content["finished"]),
            is_truncated=bool(content["truncated"]),
            tokens_by_layer={
                str(layer): [int(count) for count in counts]
                for layer, counts in content["experts"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Answer(
            problem=f"flanmoe predict: its output is not as expected ({type(error).__name__}: "
            f"{error}); the dashboard and the command must be of the same release"
        )


def experts_table(answer: Answer) -> pd.DataFrame:
    """Return a row for each expert of each MoE layer, with its load relative to the mean."""
    return pd.DataFrame(
        [
            {
                "layer": layer_label(layer),
                "expert": expert,
                "tokens": count,
                "load": len(counts) * count / max(1, sum(counts)),
            }
            for layer, counts in (answer.tokens_by_layer or {}).items()
            for expert, count in enumerate(counts)
        ]
    )
