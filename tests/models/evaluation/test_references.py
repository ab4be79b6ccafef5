"""Every item's own references score 1 when they are the answer, in every suite and language."""

import dataclasses
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from data_pipelines.params import FetchParams, SampleParams
from data_pipelines.sources.eval_data.table import READERS
from data_pipelines.sources.sample.generate import SAMPLE_SUITES
from data_pipelines.stages import eval_data, fetch
from models.evaluation.eval_data import EvalData, EvalTask, TaskItem
from models.evaluation.metrics import score_answer
from models.evaluation.prompts import build_prompts
from models.evaluation.suite import load_suite, suite_names
from tests.data_pipelines.sources.factories import write_part

ANSWER_FORMS = ("{}", "The answer is {}.", "Reasons first.\nSo the answer is {}", "Answer: {}\n")
"""Texts that give an answer; where the text itself is compared, only the first."""


def failing_references(suite, task):
    """Return the (item, text) pairs that do not score 1, and the number of references."""
    failures, num_references = [], 0
    for prompt in build_prompts(suite, task, lambda _: 0, 10**9):
        for reference in prompt.references:
            num_references += 1
            for form in ANSWER_FORMS if suite.metric == "accuracy" else ANSWER_FORMS[:1]:
                text = form.format(reference)
                if score_answer(suite.metric, prompt, text).score != 1:
                    failures.append((prompt.id, text))
    return failures, num_references


def check_folder(folder, stride=1):
    """Check every suite of which a folder holds a task; return the references of each.

    Args:
        folder: the evaluation data.
        stride: 1 to check every item of a task, n to check every n-th.
    """
    loaded = EvalData.open(folder)
    counts = Counter()
    for name in suite_names():
        suite = load_suite(name)
        if any(dataset in suite.tasks for dataset, _ in loaded.entries):
            for task in loaded.load_tasks(suite)[0]:
                some = dataclasses.replace(task, items=task.items[::stride])
                failures, num_references = failing_references(suite, some)
                assert not failures, (task.name, failures[:3])
                counts[name] += num_references
    return counts


def tydiqa_file(name, answers):
    questions = [
        {"id": f"{name}-{i}", "question": "Q?", "answers": [{"text": answer}]}
        for i, answer in enumerate(answers)
    ]
    return json.dumps({"data": [{"paragraphs": [{"context": "C", "qas": questions}]}]})


def asdiv_file(answers):
    problems = "".join(
        f'<Problem ID="{i}"><Body>B.</Body><Question>Q?</Question><Answer>{answer}</Answer>'
        "</Problem>"
        for i, answer in enumerate(answers)
    )
    return f"<Set>{problems}</Set>"


BBH_TARGETS = ("] ] >", "-219", "apple banana", "8", "barn it&t malton")
FILES = {
    "tydiqa_direct": [
        (f"{name}_tydiqa_dev.json", "tydiqa", tydiqa_file(name, answers))
        for name, answers in {
            "bengali": ("২০২৪", "১,২০০ টাকা", "মে ৩, ২০২৪"),
            "english": ("2024", "The", "May 3, 2024"),
            "arabic": ("٢٠٢٤", "الكتاب", "1,5 مليون"), "finnish": ("1 500,5", "a"),
            "indonesian": ("1.500", "3 Mei"), "korean": ("1973년", "군사령관"),
            "russian": ("в 1973 году", "«Мир»"), "swahili": ("1,500", "ya"), "telugu": ("౧౮", "%"),
        }.items()
    ],
    "mgsm_cot": [
        (f"mgsm_{language}.tsv", "mgsm", "Q?\t18\nQ?\t1,200,000\nQ?\t-3\nQ?\t1.5\n")
        for language in ("bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
    ],
    "reasoning_cot": [
        ("test.jsonl", "gsm8k", json.dumps({"question": "Q?", "answer": "R\n#### 1,200"})),
        ("SVAMP.json", "svamp", json.dumps([
            {"ID": "1", "Body": "B.", "Question": "Q?", "Answer": answer}
            for answer in (1234567.0, 1.5, 0.1 + 0.2, 1054997, 2**70)
        ])),
        ("ASDiv.xml", "asdiv", asdiv_file((
            "9 (apples)", "1,009 (m)", "6 (years old); 9 (years old)", "5/2", "3:4", "3:30 p.m.",
            "6th",
            "Mrs. Hilt", "-(1/3)", "Yes", "They are equal", "The 60th caller.", "11; 12; 13",
        ))),
        ("train.json", "strategyqa", json.dumps([{"question": "Q?", "answer": False, "qid": "1"}])),
    ],
    "bbh_cot": [
        ("word_sorting.json", "bbh", json.dumps(
            {"examples": [{"input": f"Q{i}", "target": t} for i, t in enumerate(BBH_TARGETS)]})),
        ("formal_fallacies.json", "bbh", json.dumps({"examples": [
            {"input": "Q\nOptions:\n- valid \n- invalid", "target": t} for t in ("valid", "invalid")
        ]})),
        ("hyperbaton.json", "bbh", json.dumps({"examples": [
            {"input": "Q\nOptions:\n(A) a\n(B) b", "target": t} for t in ("(A)", "(B)")
        ]})),
    ],
    "mmlu_cot": [("x_test.csv", "mmlu", "".join(f"Q{x},1,2,3,4,{x}\n" for x in "ABCD"))],
    "qa_direct": [
        ("val.jsonl", "boolq", json.dumps({"question": "q", "passage": "P", "label": True})),
    ],
}  # fmt: skip
"""Suite -> files in the published formats, with every form of answer in them."""


@pytest.mark.parametrize("suite_name", FILES)
def test_references_in_published_formats_score_1(suite_name, tmp_path):
    suite = dataclasses.replace(load_suite(suite_name), num_fewshot=0)
    for name, format, content in FILES[suite_name]:
        rows = list(READERS[format](write_part(tmp_path, name, content, format)))
        items = [TaskItem.from_json(dataclasses.asdict(row)) for row in rows]
        task = EvalTask(
            name=name, dataset="", file=name, group="", items=items, exemplars=[], sha256="",
            partial_reason="", num_rejected=0, source_file=name, split="test", num_published=None,
        )  # fmt: skip
        failures, num_references = failing_references(suite, task)
        assert not failures, (name, failures[:3])
        assert num_references >= len(items) > 0


def test_references_of_the_sample_score_1(tmp_path):
    params = FetchParams(
        sample=SampleParams(
            examples_per_family=2,
            held_out_items=60,
            text_documents=2,
            facts_bits_per_parameter=0.05,
        )
    )
    fetch.run(params, tmp_path)
    eval_data.run(tmp_path)
    counts = check_folder(tmp_path / "data/eval_data")
    assert set(counts) == set(SAMPLE_SUITES)
    assert min(counts.values()) > 100


@pytest.mark.skipif("FLANMOE_FLAN_FILES" not in os.environ, reason="needs the published files")
@pytest.mark.parametrize("stride", [10, pytest.param(1, marks=pytest.mark.full)])
def test_references_of_the_published_files_score_1(stride, tmp_path):
    root = Path(os.environ["FLANMOE_FLAN_FILES"])
    fetch.run(
        FetchParams(sample=None, sources=("eval_data/*", "exemplars/*"), root=str(root)), tmp_path
    )
    eval_data.run(tmp_path)
    counts = check_folder(tmp_path / "data/eval_data", stride)
    assert set(counts) == set(suite_names()) - set(SAMPLE_SUITES)
    assert sum(counts.values()) > 51_000 / stride
