"""Readers of published few-shot prompts: BBH, MMLU, GSM8K."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.exemplars import bbh_prompt, gsm8k_prompt, mmlu_cot
from tests.data_pipelines.sources.factories import rejected_in

BLOCKS = (
    "Q: Which?\n(A) x (B) y\nA: Let's think step by step. It is y. So the answer is (B).\n\n"
    "Q: How?\nA: Let's think step by step. Simply. So the answer is so.\n"
)


def test_bbh_prompt_is_split_into_preamble_and_exemplars(make_part):
    part = make_part("task.txt", f"canary\n-----\nDecide.\n\n{BLOCKS}", "bbh_prompt")
    first, second = bbh_prompt(part)
    assert (first.task, first.preamble, first.answer) == ("task", "Decide.", "(B)")
    assert (first.question, first.choices) == ("Which?", "(A) x (B) y")
    assert (second.question, second.answer) == ("How?", "so")
    text = first.preamble + "".join(
        f"\n\nQ: {item.text}\nA: Let's think step by step.{item.rationale}"
        for item in (first, second)
    )
    assert text == f"Decide.\n\n{BLOCKS}".rstrip()


def test_bbh_prompt_without_dashes_fails(make_part):
    with pytest.raises(SourceError, match="is not a BBH prompt: the line of dashes is missing"):
        list(bbh_prompt(make_part("task.txt", BLOCKS, "bbh_prompt")))


def test_mmlu_cot_subjects_are_tasks(make_part):
    prompts = {"law": f"Law.\n\n{BLOCKS}", "art": "Art.\n\nQ: Why?\nA: Let's think step by step. ?"}
    rows = list(mmlu_cot(make_part("mmlu.json", json.dumps(prompts), "mmlu_cot")))
    assert [row.task for row in rows[:2]] == ["law", "law"]
    assert [row.reason for row in rejected_in(rows)] == ["no rationale or no answer"]


def test_mmlu_cot_file_that_is_no_object_fails(make_part):
    with pytest.raises(SourceError, match="is not a JSON object of subjects"):
        list(mmlu_cot(make_part("mmlu.json", "[]", "mmlu_cot")))


def test_gsm8k_prompt_blocks_are_exemplars(make_part):
    content = (
        "Question: How many?\nLet's think step by step\nTwo.\nThe answer is 1,200\n\n"
        "Question: And now?\nNo idea.\n"
    )
    item, rejected = gsm8k_prompt(make_part("prompt.txt", content, "gsm8k_prompt"))
    assert (item.question, item.answer) == ("How many?", "1200")
    assert item.rationale == "\nTwo.\nThe answer is 1,200"
    assert rejected.reason == "no rationale or no answer"
