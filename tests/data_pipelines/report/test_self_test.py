"""The self-test of the contamination check: its counts, and faults of the check that it detects."""

import json
import re

import pyarrow as pa
import pytest

from data_pipelines.cleaning.contamination import MATCH_SCHEMA, ContaminationIndex
from data_pipelines.errors import DataError
from data_pipelines.report.plants import NOT_VERBATIM, make_plants
from data_pipelines.report.self_test import KindResult, SelfTestResult, run_self_test

ITEMS = [
    {
        "suite": "s", "task": "t", "id": str(i), "answer": "a",
        "question": text, "text": text,
    }
    for i in range(30)
    for text in [
        f"What is the colour of the {i}th stone in the old wall that stands behind the mill, and "
        "who, do you think, put it there so many years ago?"
    ]
]  # fmt: skip
HOSTS = [("Say it in French: good day.", "bonjour"), ("Add 3 and 4.", "7")]


def split_words(text):
    return re.findall(r"[^\W_]+", text.lower())


def test_make_plants_of_verbatim_kinds_contain_the_words_of_the_item():
    plants = list(make_plants(ITEMS, HOSTS, 0))
    kinds = {plant.kind for plant in plants}
    assert {"verbatim", "case_and_punctuation", "embedded", "exemplar", "fragment"} <= kinds
    for plant in plants:
        row = re.sub(r"</?[a-z]+>", " ", f"{plant.inputs} {plant.targets}").replace("\ufb01", "fi")
        question = " ".join(split_words((plant.item or ITEMS[0])["question"]))
        is_contained = question in " ".join(split_words(row))
        assert is_contained == (plant.item is not None and plant.is_verbatim), plant
    assert {plant.kind for plant in plants if plant.item and not plant.is_verbatim} == NOT_VERBATIM


def test_make_plants_with_the_same_seed_are_equal():
    first, second, other = (list(make_plants(ITEMS, HOSTS, seed)) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_self_test_result_measures_verbatim_recall_and_precision():
    result = SelfTestResult(
        kinds={
            "verbatim": KindResult(num_rows=10, num_matched=9, is_verbatim=True),
            "words_replaced": KindResult(num_rows=10, num_matched=1, is_verbatim=False),
        },
        boilerplate={"fragment": KindResult(num_rows=50, num_matched=2, is_verbatim=False)},
        misses=[],
    )
    assert result.min_recall == 0.9
    assert result.precision == 10 / 12


def test_self_test_of_the_sample_reaches_the_limits_of_the_gate(finished_pipeline):
    result = run_self_test(finished_pipeline.workspace, seed=3)
    assert result.min_recall >= 0.95, result
    assert result.precision >= 0.99, result
    assert finished_pipeline.read_json("mixture/self_test.json")["min_recall"] >= 0.95


def test_self_test_detects_a_check_that_ignores_rendered_inputs(finished_pipeline, monkeypatch):
    find_matches = ContaminationIndex.find_matches

    def ignore_inputs(self, rows, question, inputs, targets):
        return find_matches(self, rows, question, pa.array([""] * len(inputs)), targets)

    monkeypatch.setattr(ContaminationIndex, "find_matches", ignore_inputs)
    result = run_self_test(finished_pipeline.workspace)
    assert result.kinds["exemplar"].recall == 0
    assert result.kinds["target"].recall > 0.9
    assert result.min_recall == 0
    assert any(miss.startswith("verbatim: sample/") for miss in result.misses)


def test_self_test_detects_a_check_that_matches_boilerplate(finished_pipeline, monkeypatch):
    def match_all(self, rows, question, inputs, targets):
        first = [self.items[name][0].as_py() for name in ("suite", "task", "id")]
        columns = [[value] * len(rows) for value in (*first, "ngram")]
        return pa.table(
            [rows["uid"], rows["mixture"], rows["task"], *map(pa.array, columns)],
            schema=MATCH_SCHEMA,
        )

    monkeypatch.setattr(ContaminationIndex, "find_matches", match_all)
    assert run_self_test(finished_pipeline.workspace).precision < 0.5


def test_self_test_plants_no_items_of_a_training_split(finished_pipeline, pipeline):
    entries = pipeline.read_json("eval_data/index.json")
    item = {"text": "", "answer": "a", "options": None, "question": ""}
    questions = [f"How many of the {i} stones behind the old mill are grey?" for i in range(500)]
    lines = [json.dumps(item | {"id": f"train-{i}", "text": q, "question": q})
             for i, q in enumerate(questions)]  # fmt: skip
    file = pipeline.path("eval_data/sample/training.jsonl")
    file.write_text("\n".join(lines))
    changes = {"task": "training", "file": "sample/training.jsonl", "split": "train"}
    entries.append(entries[0] | changes)
    pipeline.path("eval_data/index.json").write_text(json.dumps(entries))
    assert run_self_test(pipeline.workspace) == run_self_test(finished_pipeline.workspace)


def test_self_test_of_an_older_release_names_the_stage_to_run(pipeline):
    report = pipeline.read_json("clean/report.json")
    del report["params"]
    pipeline.path("clean/report.json").write_text(json.dumps(report))
    with pytest.raises(DataError, match=r"field 'params' is missing; run `flanmoe clean`"):
        run_self_test(pipeline.workspace)
