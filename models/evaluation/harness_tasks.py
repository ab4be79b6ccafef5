"""Tasks of lm-evaluation-harness, built from prepared tasks, and their logs."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

from models.evaluation.prompts import EvalPrompt
from models.evaluation.samples import PreparedTask

SCORING_VERSION = 3
"""Increased whenever prompts or scoring change; scores of different versions are not compared."""

STOP_STRINGS = ["\nQ:", "\nQuestion:"]
"""Strings at which an answer to a few-shot prompt is cut, as a model may add another question. They
are at the start of a line; "an FAQ: page" is part of an answer."""


def task_config(task: PreparedTask) -> dict[str, Any]:
    """Build the harness's configuration of a task.

    Either all prompts of a task are multiple choice, or none is.
    """
    suite = task.suite
    shared: dict[str, Any] = {
        "task": task.name,
        "custom_dataset": partial(_build_dataset, task.prompts),
        "test_split": "test",
        "doc_to_text": "{{prompt}}",
        "target_delimiter": " ",
        # The prompts already contain as many few-shot exemplars as fit.
        "num_fewshot": 0,
        "metadata": {"version": SCORING_VERSION},
    }
    if task.prompts[0].multiple_choice:
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
            # Those with which the suite's own questions begin: the exemplars show no other.
            "until": [
                stop
                for stop in STOP_STRINGS
                if suite.num_fewshot and stop.strip() in suite.prompt_template
            ],
            "max_gen_toks": task.max_new_tokens,
            "do_sample": False,
        },
        "process_results": task.process_results,
        "metric_list": [{"metric": suite.metric, "aggregation": "mean", "higher_is_better": True}],
    }


def run_tasks(model: Any, configs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Evaluate a model on tasks.

    Args:
        model: an `lm_eval.api.model.LM`.
        configs: configurations of the tasks, see `task_config`.

    Returns:
        Task name -> the harness's log of each item, in the order of the prompts.
    """
    # The harness and its data sets must not look for files on the network.
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    datasets.disable_progress_bars()
    # The harness warns about each task with a custom data set.
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    # Not `simple_evaluate`: it also runs `pip list` to describe the environment. Nothing is random
    # here, as decoding is greedy and the prompts contain their exemplars.
    results = evaluate(
        lm=model,
        task_dict=TaskManager(include_defaults=False).load(configs),
        bootstrap_iters=0,
        log_samples=True,
    )
    return {
        config["task"]: sorted(results["samples"][config["task"]], key=lambda s: s["doc_id"])
        for config in configs
    }


def _build_dataset(prompts: list[EvalPrompt], **_: Any) -> dict[str, Any]:
    import datasets

    rows = [
        {
            "id": prompt.id,
            "prompt": prompt.prompt,
            "answer": prompt.answer,
            "options": list(prompt.options or ()),
        }
        for prompt in prompts
    ]
    return {"test": datasets.Dataset.from_list(rows)}
