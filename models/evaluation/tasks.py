"""Questions -> lm-evaluation-harness tasks, and their answers back."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

from models.evaluation.prompts import EvalPrompt
from models.evaluation.samples import PreparedTask

VERSION = 2
"""Changes whenever prompts or scoring change: scores of different versions are not compared."""

STOPS = ["Q:", "Question:"]
"""Where a model that was shown worked examples goes on to a question of its own."""


def task_config(asked: PreparedTask) -> dict[str, Any]:
    """The harness's configuration of one task; all of its questions are ranked, or none is."""
    suite = asked.suite
    shared: dict[str, Any] = {
        "task": asked.task.name,
        "custom_dataset": partial(_dataset, asked.questions),
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "target_delimiter": " ",
        # The worked examples are in the prompt already: as many as fit.
        "num_fewshot": 0,
        "metadata": {"version": VERSION},
    }
    if asked.questions[0].ranked:
        return {
            **shared,
            "output_type": "multiple_choice",
            "doc_to_choice": "{{options}}",
            "doc_to_target": "{{options.index(answer)}}",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
    return {
        **shared,
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {
            "until": STOPS if suite.shots else [],
            "max_gen_toks": asked.max_new_tokens,
            "do_sample": False,
        },
        "process_results": asked.judge,
        "metric_list": [{"metric": suite.metric, "aggregation": "mean", "higher_is_better": True}],
    }


def run_tasks(model: Any, configs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """EvalTask -> the harness's log of each item, in the questions' order."""
    # Local files only, whatever the network allows.
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    datasets.disable_progress_bars()
    # It warns of every task that its data set is one of our own.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    outcome = simple_evaluate(
        model=model,
        tasks=configs,
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
        random_seed=0,
        numpy_random_seed=0,
        torch_random_seed=0,
        fewshot_random_seed=0,
    )
    return {
        config["task"]: sorted(outcome["samples"][config["task"]], key=lambda s: s["doc_id"])
        for config in configs
    }


def _dataset(asked: list[EvalPrompt], **_: Any) -> dict[str, Any]:
    import datasets

    rows = [
        {
            "id": question.id,
            "prompt": question.prompt,
            "answer": question.answer,
            "options": list(question.options or ()),
        }
        for question in asked
    ]
    return {"test": datasets.Dataset.from_list(rows)}
