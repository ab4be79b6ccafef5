"""Prompts: their parts, dropped exemplars, and the published ones word for word."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from data_pipelines.sources.eval_data.instructions import niv2
from models.evaluation.eval_data import EvalData
from models.evaluation.prompts import build_prompts
from models.evaluation.suite import load_suite
from tests.data_pipelines.sources.factories import write_part
from tests.models.evaluation.factories import load_prompts, write_eval_data, write_index


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


def test_prompt_that_is_too_long_drops_its_last_exemplars(tmp_path):
    write_eval_data(tmp_path)
    (complete, *_), _ = load_prompts(tmp_path, "mmlu_direct", "anatomy")
    description, *exemplars, question = complete.prompt.split("\n\n")
    length = len(complete.prompt)
    for max_input in (length, length - 1, length // 2, 1):
        (prompt, *_), _ = load_prompts(tmp_path, "mmlu_direct", "anatomy", max_input)
        num_shown = prompt.num_exemplars
        assert prompt.prompt == "\n\n".join([description, *exemplars[:num_shown], question])
        assert num_shown + prompt.num_exemplars_dropped == 5
        assert len(prompt.prompt) <= max_input or num_shown == 0
        if num_shown < 5:  # one exemplar more does not fit
            longer = [description, *exemplars[: num_shown + 1], question]
            assert len("\n\n".join(longer)) > max_input


def hendrycks_prompt(subject, dev_rows, row, k):
    """Return the prompt of the authors' evaluate.py, from rows `[question, A, B, C, D, answer]`."""
    text = "The following are multiple choice questions (with answers) about "
    text += "".join(" " + word for word in subject.split("_")) + ".\n\n"
    for question, *options, answer in [*dev_rows[:k], row]:
        text += question
        for letter, option in zip("ABCD", options, strict=True):
            text += f"\n{letter}. {option}"
        text += f"\nAnswer: {answer}\n\n"
    return text.removesuffix(f" {row[-1]}\n\n")


def test_mmlu_hendrycks_prompt_is_that_of_the_authors(tmp_path):
    write_eval_data(tmp_path)
    for max_input in (10**6, 900, 400):
        prompts, task = load_prompts(
            tmp_path, "mmlu_hendrycks", "abstract_algebra", max_input=max_input
        )
        dev_rows, rows = (
            [[item.question, *item.option_texts, item.answer] for item in items]
            for items in (task.exemplars, task.items)
        )
        for prompt, row in zip(prompts, rows, strict=True):
            k = 5  # the authors lower it until the prompt fits
            while k and len(hendrycks_prompt(task.file, dev_rows, row, k)) > max_input:
                k -= 1
            assert prompt.prompt == hendrycks_prompt(task.file, dev_rows, row, k)
            assert (prompt.num_exemplars, prompt.num_exemplars_dropped) == (k, 5 - k)
            assert prompt.multiple_choice


def test_bbh_generated_prompt_is_that_of_bbh_direct_but_the_answer_is_generated(tmp_path):
    write_eval_data(tmp_path)
    direct, _ = load_prompts(tmp_path, "bbh_direct", "navigate")
    generated, _ = load_prompts(tmp_path, "bbh_generated", "navigate")
    assert [p.prompt for p in generated] == [p.prompt for p in direct]
    assert {p.multiple_choice for p in direct} == {True}
    assert {p.multiple_choice for p in generated} == {False}
    assert {p.random_score for p in generated} == {0.5}


class TkInstructPrompt:
    """The source text of Tk-Instruct's data collator: definition and positive examples, no others.

    Written from a description of its behaviour: the examples are added in order until one does not
    fit; each part is stripped and gets a full stop unless it ends with ASCII punctuation.
    """

    def __init__(self, task, num_tokens, max_source_length):
        self.task, self.num_tokens, self.max_source_length = task, num_tokens, max_source_length

    @staticmethod
    def sentence(label, text):
        line = f"{label}{text.strip()}"
        return line if line[-1] in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" else line + "."

    def source(self, instance):
        head = self.sentence("Definition: ", self.task["Definition"][0]) + "\n\n"
        tail = "Now complete the following example -\n"
        tail += self.sentence("Input: ", instance["input"]) + "\nOutput: "
        for number, example in enumerate(self.task["Positive Examples"][:2], start=1):
            block = f" Positive Example {number} -\n"
            block += self.sentence("Input: ", example["input"]) + "\n"
            block += self.sentence(" Output: ", example["output"]) + "\n\n"
            if self.num_tokens(head + block + tail) > self.max_source_length:
                break
            head += block
        return head + tail


NIV2_TASK = {
    "Definition": ["Say what it is "], "Categories": ["Naming"],
    "Positive Examples": [
        {"input": "A round red fruit", "output": "apple"},
        {"input": " It is yellow! ", "output": "A lemon."},
        {"input": "not shown", "output": "never"},
    ],
    "Instances": [
        {"id": "a", "input": "A long green one", "output": ["cucumber", "Cucumber"]},
        {"id": "b", "input": "Is it (blue)", "output": ["no"]},
        {"id": "c", "input": "Qu'est-ce ?  ", "output": ["rien"]},
        {"id": "d", "input": "It is café", "output": ["yes"]},
    ],
}  # fmt: skip


def niv2_prompts(tmp_path, task, max_input=10**6):
    """Write a NIV2 task as evaluation data; return its prompts."""
    part = write_part(tmp_path, "task1.json", json.dumps(task), "niv2_test")
    path = tmp_path / "eval_data/niv2/task1.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(dataclasses.asdict(item)) + "\n" for item in niv2(part)))
    write_index(tmp_path / "eval_data")
    return load_prompts(tmp_path / "eval_data", "niv2_held_out", "task1", max_input=max_input)[0]


@pytest.mark.parametrize("max_input", [10**6, 200, 130, 100])
def test_niv2_prompts_are_those_of_tk_instruct(tmp_path, max_input):
    prompts = niv2_prompts(tmp_path, NIV2_TASK, max_input)
    reference = TkInstructPrompt(NIV2_TASK, len, max_input)
    for prompt, instance in zip(prompts, NIV2_TASK["Instances"], strict=True):
        assert prompt.prompt == reference.source(instance)
        assert prompt.num_exemplars + prompt.num_exemplars_dropped == 2
    if max_input == 10**6:
        assert prompts[0].prompt == (
            "Definition: Say what it is.\n\n"
            " Positive Example 1 -\nInput: A round red fruit.\n Output: apple.\n\n"
            " Positive Example 2 -\nInput: It is yellow!\n Output: A lemon.\n\n"
            "Now complete the following example -\nInput: A long green one.\nOutput: "
        )
        assert prompts[0].references == ("cucumber", "Cucumber")


def test_niv2_task_without_positive_examples_has_a_prompt_without_exemplars(tmp_path):
    task = {**NIV2_TASK, "Positive Examples": []}
    (prompt, *_) = niv2_prompts(tmp_path, task)
    assert prompt.prompt == TkInstructPrompt(task, len, 10**6).source(task["Instances"][0])
    assert (prompt.num_exemplars, prompt.num_exemplars_dropped) == (0, 0)


@pytest.mark.skipif("FLANMOE_FLAN_FILES" not in os.environ, reason="needs the published files")
def test_niv2_prompts_of_the_published_tasks_are_those_of_tk_instruct(tmp_path):
    from data_pipelines.params import FetchParams
    from data_pipelines.stages import eval_data, fetch

    root = Path(os.environ["FLANMOE_FLAN_FILES"])
    fetch.run(FetchParams(sample=None, sources=("eval_data/niv2",), root=str(root)), tmp_path)
    eval_data.run(tmp_path)
    suite = load_suite("niv2_held_out")
    tasks, _ = EvalData.open(tmp_path / "data/eval_data").load_tasks(suite)
    num_compared = 0
    for task in tasks:
        published = json.loads((root / f"niv2/tasks/{task.file}.json").read_text())
        for max_input in (10**6, 1000):
            reference = TkInstructPrompt(published, len, max_input)
            prompts = build_prompts(suite, task, len, max_input)
            for prompt, instance in zip(prompts, published["Instances"][:100], strict=True):
                assert prompt.prompt == reference.source(instance)
                num_compared += 1
    assert num_compared == 2 * 500


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
