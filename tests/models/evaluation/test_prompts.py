"""Prompts: their parts, dropped exemplars, and the published ones word for word."""

import json
import os
from pathlib import Path

import pytest

from models.evaluation.eval_data import EvalData
from models.evaluation.prompts import build_prompts
from models.evaluation.suite import load_suite
from tests.models.evaluation.factories import load_prompts, write_eval_data


def test_prompt_is_description_exemplars_and_question(tmp_path):
    write_eval_data(tmp_path)
    (prompt, *_), task = load_prompts(tmp_path, "bbh_cot", "navigate")
    exemplars = [f"Q: {e.text}\nA: Let's think step by step.{e.rationale}" for e in task.exemplars]
    question = f"Q: {task.items[0].text}\nA: Let's think step by step."
    assert prompt.prompt == "\n\n".join(["Choose what is best.", *exemplars, question])


def test_direct_prompt_has_the_subject_and_answers_of_exemplars(tmp_path):
    write_eval_data(tmp_path)
    (prompt, *_), task = load_prompts(tmp_path, "mmlu_direct", "abstract_algebra")
    parts = prompt.prompt.split("\n\n")
    assert parts[0].endswith("(with answers) about abstract algebra.")
    assert parts[1] == f"{task.exemplars[0].text}\nAnswer: {task.exemplars[0].answer}"
    assert len(parts) == 7
    assert (prompt.num_exemplars, prompt.num_exemplars_dropped) == (5, 0)
    assert prompt.random_score == 0.25


def test_prompt_that_is_too_long_drops_its_first_exemplars(tmp_path):
    write_eval_data(tmp_path)
    (complete, *_), _ = load_prompts(tmp_path, "mmlu_direct", "anatomy")
    length = len(complete.prompt)
    for max_input in (length, length - 1, length // 2, 1):
        (prompt, *_), _ = load_prompts(tmp_path, "mmlu_direct", "anatomy", max_input)
        description, *parts = complete.prompt.split("\n\n")
        num_dropped = prompt.num_exemplars_dropped
        assert prompt.prompt == "\n\n".join([description, *parts[num_dropped:]])
        assert prompt.num_exemplars + num_dropped == 5
        assert len(prompt.prompt) <= max_input or prompt.num_exemplars == 0
        if num_dropped:  # one exemplar more does not fit
            assert len("\n\n".join([description, *parts[num_dropped - 1 :]])) > max_input


@pytest.mark.skipif("FLANMOE_FLAN_FILES" not in os.environ, reason="needs the published files")
def test_prompts_begin_with_the_published_ones_word_for_word(tmp_path):
    from data_pipelines.params import FetchParams
    from data_pipelines.stages import eval_data, fetch

    root = Path(os.environ["FLANMOE_FLAN_FILES"])
    sources = ("eval_data/bbh", "eval_data/mmlu", "exemplars/*")
    fetch.run(FetchParams(sample=None, sources=sources, root=str(root)), tmp_path)
    eval_data.run(tmp_path)
    loaded = EvalData.open(tmp_path / "data/eval_data")
    mmlu_prompts = json.loads((root / "eval/mmlu_cot/mmlu-cot.json").read_text())
    num_compared = 0
    for name in ("bbh_cot", "mmlu_cot"):
        suite = load_suite(name)
        for task in loaded.load_tasks(suite)[0]:
            if name == "bbh_cot":
                text = (root / f"eval/bbh/cot-prompts/{task.file}.txt").read_text()
                published = text.split("-----\n", 1)[1]
            else:
                published = mmlu_prompts[task.file]
            (prompt, *_) = build_prompts(suite, task, len, 10**6)
            assert prompt.prompt.startswith(published.rstrip() + "\n\nQ: ")
            num_compared += 1
    assert num_compared == 21 + 45
