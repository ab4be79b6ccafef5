"""The contamination check on the published files; skipped as test_real_files.py is."""

import json
import os
import re
import shutil
from collections import Counter, defaultdict

import pytest

from data_pipelines.params import CleanParams, FetchParams, MixParams
from tests.data_pipelines.factories import DataPipeline
from tests.data_pipelines.real_files import NUM_ITEMS, ROOT

pytestmark = pytest.mark.skipif(
    "FLANMOE_FLAN_FILES" not in os.environ,
    reason="FLANMOE_FLAN_FILES does not name a folder with the published files",
)


def contaminated_tasks(pipeline, suite):
    """Return the training tasks that overlap with a suite, by name."""
    tasks = pipeline.read_json("clean/report.json")["contamination"][suite]["tasks"]
    return {task["task"]: task for task in tasks}


@pytest.mark.process
@pytest.mark.parametrize(
    "real_pipeline", [pytest.param("full", marks=pytest.mark.full)], indirect=True
)
def test_clean_published_files_detects_the_known_contamination_of_niv2(real_pipeline):
    asdiv = contaminated_tasks(real_pipeline, "asdiv")
    asdiv_tasks = [f"task{n}_asdiv_{kind}_question_answering"
             for n, kind in ((861, "addsub"), (862, "multidiv"), (863, "multiop"))]  # fmt: skip
    # 1,034 of the 1,499 inputs of these tasks are verbatim ASDiv problems, 22 of them tokenized.
    assert sum(asdiv[task]["num_rows_same_question"] for task in asdiv_tasks) == 1034
    assert any(task.startswith("task868_mawps") for task in asdiv)
    assert (
        contaminated_tasks(real_pipeline, "boolq")["task381_boolq_question_generation"]["num_rows"]
        >= 186
    )


@pytest.mark.process
def test_clean_published_files_detects_the_known_contamination(real_pipeline):
    # One dev question; the training questions, 79 of them in ARC's training split, are not scored.
    assert contaminated_tasks(real_pipeline, "elementary_science")["arc"]["num_items"] == 1
    assert contaminated_tasks(real_pipeline, "arc_challenge")["arc"]["num_rows_same_question"] == 6
    # No question of GSM8K's training split is in the test split; three share an n-gram of 13 words.
    assert contaminated_tasks(real_pipeline, "gsm8k")["cot_gsm8k"]["num_rows_same_question"] == 0
    assert contaminated_tasks(real_pipeline, "gsm8k")["cot_gsm8k"]["num_rows"] <= 4
    assert "cot_gsm8k" not in contaminated_tasks(real_pipeline, "mgsm")


@pytest.mark.process
def test_mix_published_files_has_no_contamination(real_pipeline):
    contamination = real_pipeline.read_json("mixture/contamination.json")
    # StrategyQA's training split is a training set, and its dev split is not among the files.
    assert set(contamination) == set(NUM_ITEMS) - {"strategyqa", "strategyqa_bigbench"}
    assert all(entry["num_contaminated"] == 0 for entry in contamination.values())


def read_item_ngrams(pipeline):
    """Return the 13-grams of all scored items: context, question and options, each by itself.

    13-grams in more than 10 items of a suite are boilerplate.
    """
    owners = defaultdict(set)
    suites = pipeline.read_json("mixture/contamination.json")
    for entry in pipeline.read_json("eval_data/index.json"):
        if entry["suite"] not in suites or entry["split"] == "train":
            continue
        for line in pipeline.path(f"eval_data/{entry['file']}").open():
            item = json.loads(line)
            options = re.split(r"\n\([A-Z]\) |\n- ", item["text"])[1:]
            for text in (item.get("context", ""), item["question"], *options):
                for gram in split_ngrams(text):
                    owners[gram].add((entry["suite"], item.get("context") or item["id"]))
    return {
        gram
        for gram, items in owners.items()
        if max(Counter(suite for suite, _ in items).values()) <= 10
    }


def split_ngrams(text):
    words = re.findall(r"[^\W_]+", text.lower())
    return {" ".join(words[i : i + 13]) for i in range(len(words) - 12)}


@pytest.mark.process
def test_clean_published_files_leaves_no_row_with_13_words_of_an_item(real_pipeline):
    """Every row that cleaning leaves, and every row of the mixture, exemplars included."""
    item_ngrams = read_item_ngrams(real_pipeline)
    verdicts = real_pipeline.read_rows("clean/verdicts.parquet")
    dropped = {row["uid"] for row in verdicts if row["dropped"]}
    contaminated = {
        row["uid"] for row in verdicts if any(r.startswith("contam") for r in row["reasons"])
    }
    records = real_pipeline.read_rows("records/examples")
    overlapping = {
        row["uid"]
        for row in [*records, *real_pipeline.read_rows()]
        if row["split"] != "test"
        and not item_ngrams.isdisjoint(split_ngrams(row["inputs"]) | split_ngrams(row["targets"]))
    }
    assert overlapping & dropped
    assert not overlapping - contaminated


@pytest.mark.process
def test_self_test_on_published_files_reaches_the_limits_of_the_gate(real_pipeline):
    result = real_pipeline.read_json("mixture/self_test.json")
    assert result["min_recall"] >= 0.95, result
    assert result["precision"] >= 0.99, result


def test_clean_excludes_the_57_mmlu_tasks_of_niv2(tmp_path):
    published = (ROOT / "niv2/splits/default/train_tasks.txt").read_text().split()
    names = [task for task in published if "mmmlu" in task]
    assert len(names) == 57
    task = {
        "Definition": ["Do this."], "Positive Examples": [], "Negative Examples": [],
        "Instances": [{"id": "1", "input": "in", "output": ["out"]}],
    }  # fmt: skip
    (tmp_path / "root/niv2/tasks").mkdir(parents=True)
    for name in [*names, "task001_other"]:
        (tmp_path / f"root/niv2/tasks/{name}.json").write_text(json.dumps(task))
    shutil.copytree(ROOT / "niv2/splits", tmp_path / "root/niv2/splits")
    shutil.copytree(ROOT / "eval/svamp", tmp_path / "root/eval/svamp")
    pipeline = DataPipeline(
        tmp_path / "workspace",
        fetch=FetchParams(
            sources=("niv2/*", "eval_data/svamp"), root=str(tmp_path / "root"), verify=False
        ),
        clean=CleanParams(exclude_tasks=(), duplicates="flag", contamination="flag"),
        mix=MixParams(num_examples=1000, text="examples"),
    ).run("fetch", "eval_data", "read", "clean", "mix")
    assert pipeline.read_json("clean/report.json")["rows_excluded"] == 57
    assert {row["task"] for row in pipeline.read_rows()} == {"task001_other"}
