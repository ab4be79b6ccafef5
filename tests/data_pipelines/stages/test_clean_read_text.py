"""Stage clean compares what the model reads with the evaluation items; excluded tasks stay out."""

import json
import re

import pytest

from data_pipelines.params import CleanParams, FetchParams, MixParams, ReadParams
from tests.data_pipelines.factories import DataPipeline, write_json_lines

LEAK = "A baker fills nine trays with twelve rolls each and sells all but seven of them"
SHORT = "How many legs have three spiders?"
ITEMS = [{"question": text, "answer": "#### 1"} for text in (LEAK, SHORT)]
NUM_INSTANCES = 40


def split_words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def holds_leak(row):
    """Return whether inputs or targets hold 13 consecutive words of LEAK."""
    leak = split_words(LEAK)
    grams = {" ".join(leak[i : i + 13]) for i in range(len(leak) - 12)}
    texts = [" ".join(split_words(row[name])) for name in ("inputs", "targets")]
    return any(gram in text for gram in grams for text in texts)


def niv2_task(**fields):
    instances = [
        {"id": str(i), "input": f"the input number {i} of this task", "output": [f"out {i}"]}
        for i in range(NUM_INSTANCES)
    ]
    return {
        "Definition": ["Do this."],
        "Positive Examples": [{"input": "p", "output": "q", "explanation": "because"}],
        "Negative Examples": [{"input": "n", "output": "wrong", "explanation": "no"}],
        "Instances": instances,
        **fields,
    }


def make_pipeline(tmp_path, sources, **changes):
    """Return a pipeline over the files below tmp_path/root, with GSM8K as its suite."""
    root = tmp_path / "root"
    write_json_lines(root / "eval/gsm8k/test.jsonl", ITEMS)
    pipeline = DataPipeline(
        tmp_path / "workspace",
        fetch=FetchParams(sources=(*sources, "eval_data/gsm8k"), root=str(root), verify=False),
        read=ReadParams(niv2_split="all", inversion_share=0.5),
        mix=MixParams(num_examples=100000, text="examples", few_shot_share=0.0),
    )
    return pipeline.replace(**changes)


def run_stages(pipeline):
    return pipeline.run("fetch", "eval_data", "read", "clean", "mix")


def write_tasks(tmp_path, task_by_name):
    for name, task in task_by_name.items():
        path = tmp_path / "root/niv2/tasks" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(task))
    splits = tmp_path / "root/niv2/splits/default"
    splits.mkdir(parents=True)
    (splits / "test_tasks.txt").write_text("task999_held_out\n")


@pytest.mark.parametrize(
    ("fields", "num_leaks"),
    [
        ({"Definition": [f"Do as follows. {LEAK}. Then stop."]}, "all"),
        ({"Positive Examples": [{"input": f"{LEAK}?", "output": "q"}]}, "with exemplars"),
        ({"Positive Examples": [{"input": "p", "output": LEAK.upper()}]}, "with exemplars"),
        (
            {"Positive Examples": [{"input": "p", "output": "q", "explanation": LEAK}]},
            "with explanations",
        ),
        ({"Negative Examples": [{"input": LEAK, "output": "q"}]}, "with negatives"),
    ],
)
def test_clean_niv2_text_around_the_input_is_compared(tmp_path, fields, num_leaks):
    write_tasks(tmp_path, {"task001_x": niv2_task(**fields)})
    pipeline = make_pipeline(tmp_path, ("niv2/tasks",))
    run_stages(pipeline.replace(clean=CleanParams(contamination="flag")))
    leaks = {row["uid"] for row in pipeline.read_rows() if holds_leak(row)}
    assert (len(leaks) == NUM_INSTANCES) if num_leaks == "all" else 3 < len(leaks) < NUM_INSTANCES
    flagged = {row["uid"] for row in pipeline.read_rows() if row["flags"]}
    assert flagged == leaks
    assert pipeline.read_json("mixture/contamination.json")["gsm8k"]["num_contaminated"] == 1
    if num_leaks != "all":
        run_stages(pipeline)
        rows = {row["uid"] for row in pipeline.read_rows()}
        assert rows == {row["uid"] for row in pipeline.read_rows("records/examples")} - leaks


def test_clean_rationale_is_compared_where_it_is_read(tmp_path):
    lines = [f"question number {i}?\t{i}\t{LEAK}, so {i}." for i in range(NUM_INSTANCES)]
    path = tmp_path / "root/cot/flan_v2/x_train.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("".join(line + "\n" for line in lines))
    pipeline = run_stages(make_pipeline(tmp_path, ("cot/flan",)))
    rows = pipeline.read_rows()
    assert rows
    assert not any(holds_leak(row) for row in rows)
    direct = [r for r in pipeline.read_rows("records/examples") if not holds_leak(r)]
    assert {row["uid"] for row in rows} == {row["uid"] for row in direct}


def test_clean_short_items_in_rendered_exports_are_compared(tmp_path):
    rows = {
        "prefixed": f"Question: {SHORT}",
        "exemplar": f"Q: {SHORT}\nA: 24\n\nQ: How many wheels have two cars?\nA:",
        "embedded": f"Read the question. {SHORT} Give a number.",
        "other": "Question: How many legs have three spiders and a cat?",
    }
    records = [
        {"inputs": text, "targets": "24", "task_name": task, "template_type": "fs_noopt",
         "task_source": "flan"} for task, text in rows.items()
    ]  # fmt: skip
    write_json_lines(tmp_path / "root/export/a.jsonl", records)
    pipeline = run_stages(make_pipeline(tmp_path, ("flan/export",)))
    assert {row["task"] for row in pipeline.read_rows()} == {"other"}
    matches = pipeline.read_rows("clean/contamination.parquet")
    assert {(row["item"], row["match"]) for row in matches} == {("test-1", "short_item")}


def test_mix_rows_have_the_flags_of_their_exemplars(tmp_path):
    lines = [f"what is the number {i} called?\tname {i}\tr" for i in range(30)]
    lines += [f"{LEAK} {i}?\t{i}\tr" for i in range(4)]
    path = tmp_path / "root/cot/flan_v2/x_train.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("".join(line + "\n" for line in lines))
    pipeline = make_pipeline(
        tmp_path,
        ("cot/flan",),
        read=ReadParams(inversion_share=0, cot_rationale_share=0),
        clean=CleanParams(contamination="flag", duplicates="flag"),
        mix=MixParams(num_examples=1000, text="examples", few_shot_share=1.0),
    )
    rows = run_stages(pipeline).read_rows()
    leaks = [row for row in rows if holds_leak(row)]
    own = {row["uid"] for row in pipeline.read_rows("records/examples") if holds_leak(row)}
    assert {row["uid"] for row in leaks} > own
    assert all("contaminated:gsm8k" in row["flags"] for row in leaks)
    assert not any("contaminated:gsm8k" in row["flags"] for row in rows if not holds_leak(row))


@pytest.mark.parametrize("patterns", [(), ("*other*",), ("*mmmlu*",)])
def test_clean_tasks_that_are_mmlu_stay_out_whatever_exclude_tasks_says(tmp_path, patterns):
    names = ["task685_mmmlu_answer_generation_clinical_knowledge", "Task700_MMMLU_other", "task2_b"]
    write_tasks(tmp_path, dict.fromkeys(names, niv2_task()))
    clean = CleanParams(exclude_tasks=patterns, duplicates="flag", contamination="flag")
    pipeline = run_stages(make_pipeline(tmp_path, ("niv2/tasks",), clean=clean))
    assert {row["task"] for row in pipeline.read_rows()} == {"task2_b"}
    assert pipeline.read_json("clean/report.json")["rows_excluded"] == 2 * NUM_INSTANCES
