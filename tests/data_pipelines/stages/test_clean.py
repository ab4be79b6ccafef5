"""Stage clean: overlaps and duplicates of a small export, and their effect on the mixture."""

import json
from dataclasses import replace

import pytest

from data_pipelines.params import CleanParams, FetchParams, MixParams
from tests.data_pipelines.factories import DataPipeline, write_json_lines

LONG = " ".join(f"word{i}" for i in range(40))
PASSAGE = " ".join(f"passage{i}" for i in range(30))
BODY = " ".join(f"body{i}" for i in range(40))
ITEMS = [
    {"question": f"Tell me {LONG}?", "answer": "#### 1"},
    {"question": "Is this a short complete question", "answer": "#### 2"},
    {"question": "Too short", "answer": "#### 3"},
    {"question": "the same words in two items of this suite", "answer": "#### 4"},
    {"question": "The same words: in two items of this suite!", "answer": "#### 5"},
    *[
        {"question": f"item{i} " + " ".join(f"common{j}" for j in range(14)), "answer": "#### 6"}
        for i in range(12)
    ],
]
INPUTS_BY_TASK = {
    "thirteen words": "so " + " ".join(f"word{i}" for i in range(10, 23)) + " it is",
    "twelve words": "so " + " ".join(f"word{i}" for i in range(10, 22)) + " it is",
    "same question": "IS THIS a short, complete question?!",
    "longer question": "is this a short complete question perhaps",
    "too short": "too short",
    "question of two items": "the same words in two items of this suite",
    "boilerplate": " ".join(f"common{j}" for j in range(14)),
    "unrelated": "what else is there to say about the weather of the day",
}
ROWS = [(text, "yes", task, "flan") for task, text in INPUTS_BY_TASK.items()]
SIMILAR_ROWS = [
    (f"{PASSAGE} {BODY} end", "yes", "a", "flan"),
    (f"{PASSAGE} {BODY} fin", "yes", "b", "t0"),  # near duplicate in another mixture
    (f"{PASSAGE} {BODY} other", "no", "c", "flan"),  # another answer
    ("What is it?", "yes", "d", "flan"),
    ("what IS it", "Yes!", "e", "cot"),  # other case and punctuation
    ("what is that", "yes", "f", "flan"),
]


@pytest.fixture
def run_stages(tmp_path):
    """Return a function that cleans and mixes an export of (inputs, targets, task, source)."""

    def run(rows, **params):
        root = tmp_path / "root"
        names = ("inputs", "targets", "task_name", "task_source")
        records = [dict(zip(names, row, strict=True)) for row in rows]
        write_json_lines(root / "export/a.jsonl", records)
        write_json_lines(root / "eval/gsm8k/test.jsonl", ITEMS)
        pipeline = DataPipeline(
            tmp_path / "workspace",
            fetch=FetchParams(
                sources=("flan/export", "eval_data/gsm8k"), root=str(root), verify=False
            ),
            clean=CleanParams(**params),
            mix=MixParams(
                num_examples=10000, text="examples", few_shot_share=0.0, validation_share=0.3
            ),
        )
        return pipeline.run("fetch", "eval_data", "read", "clean", "mix")

    return run


def mixed_tasks(pipeline):
    return {row["task"] for row in pipeline.read_rows()}


def test_clean_contaminated_rows_are_dropped_and_reported(run_stages):
    pipeline = run_stages(ROWS)
    matches = pipeline.read_rows("clean/contamination.parquet")
    assert {(row["task"], row["match"], row["item"]) for row in matches} == {
        ("thirteen words", "ngram", "test-0"),
        ("same question", "question", "test-1"),
    }
    assert mixed_tasks(pipeline) == set(INPUTS_BY_TASK) - {"thirteen words", "same question"}
    report = pipeline.read_json("clean/report.json")["contamination"]["gsm8k"]
    assert (report["num_items"], report["num_items_in_sources"]) == (len(ITEMS), 2)
    assert pipeline.read_json("mixture/contamination.json")["gsm8k"]["num_contaminated"] == 0


def test_clean_contaminated_rows_with_action_flag_are_mixed_and_counted(run_stages):
    pipeline = run_stages(ROWS, contamination="flag")
    flags = {row["task"]: row["flags"] for row in pipeline.read_rows()}
    assert set(flags) == set(INPUTS_BY_TASK)
    assert {task for task, names in flags.items() if names} == {"thirteen words", "same question"}
    assert flags["same question"] == ["contaminated:gsm8k"]
    assert pipeline.read_json("mixture/contamination.json")["gsm8k"] == {
        "num_items": len(ITEMS), "num_contaminated": 2, "tasks": {"test": ["test-0", "test-1"]},
    }  # fmt: skip


def test_clean_drops_overlaps_in_the_answer_and_of_the_configured_ngram_length(run_stages):
    rows = [
        ("say it", INPUTS_BY_TASK["thirteen words"], "in the answer", "flan"),
        (INPUTS_BY_TASK["twelve words"], "yes", "twelve words", "flan"),
        ("other words", "no", "other", "flan"),
    ]
    assert mixed_tasks(run_stages(rows, ngram=12)) == {"other"}


def test_clean_contaminated_plain_text_is_dropped(tmp_path):
    pipeline = DataPipeline(tmp_path).run("fetch", "eval_data")
    items = pipeline.path("raw/eval_data/sample/qa_what.jsonl").read_text().splitlines()
    question = json.loads(items[0])["question"].replace("\n", " ")
    path = pipeline.path("raw/text/sample.txt")
    before = path.read_text()
    path.write_text(f"{before}leaked: {question}\n")
    pipeline.run("read", "clean", "mix")
    texts = [row["text"] for row in pipeline.read_rows("mixture/text")]
    assert not any("leaked" in text for text in texts)
    assert len(texts) <= len(before.splitlines())


def test_clean_finds_planted_questions_for_facts_but_not_their_statements(tmp_path):
    """The text states the facts that the knowledge suites ask for: only questions are overlaps."""
    pipeline = DataPipeline(tmp_path).run("fetch", "eval_data")
    items = [
        json.loads(pipeline.path(f"raw/eval_data/{file}.jsonl").read_text().splitlines()[0])
        for file in ("sample_knowledge/city_muffin", "sample_new_forms/job_t0_sf")
    ]
    first, second = items
    row = {"inputs": f"Q: {first['text']}", "targets": first["answer"], "task_name": "planted"}
    with pipeline.path("raw/muffin/sample_city_muffin.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pipeline.path("raw/text/sample.txt").open("a") as file:
        file.write(f"{second['text']} {second['answer']}\n")
    pipeline.run("read", "clean")
    overlaps = [
        (row["task"], row["suite"], row["item"])
        for row in pipeline.read_rows("clean/contamination.parquet")
        if row["suite"] in ("sample_knowledge", "sample_new_forms")
    ]
    assert sorted(overlaps) == [
        ("planted", "sample_knowledge", first["id"]),
        ("sample/text", "sample_new_forms", second["id"]),
    ]
    dropped = {row["uid"] for row in pipeline.read_rows("clean/verdicts.parquet") if row["dropped"]}
    statements = {
        row["uid"]
        for row in pipeline.read_rows("records/examples")
        if row["mixture"] == "text" and first["cluster"] in row["inputs"]
    }
    assert len(statements) == 12
    assert not statements & dropped


def test_clean_excluded_tasks_are_dropped_by_name(run_stages):
    rows = [("a b", "c", "task685_mmmlu_answer_generation_clinical_knowledge", "niv2"),
            ("d e", "f", "task001", "niv2")]  # fmt: skip
    pipeline = run_stages(rows)
    assert mixed_tasks(pipeline) == {"task001"}
    assert pipeline.read_json("clean/report.json")["rows_excluded"] == 1


def test_clean_duplicates_are_dropped_across_tasks_but_not_with_other_answers(run_stages):
    pipeline = run_stages(SIMILAR_ROWS)
    kinds = [row["kind"] for row in pipeline.read_rows("clean/duplicates.parquet")]
    assert sorted(kinds) == ["exact", "near"]
    tasks = mixed_tasks(pipeline)
    assert {"c", "f"} < tasks
    assert len(tasks & {"a", "b"}) == len(tasks & {"d", "e"}) == 1


def test_clean_jaccard_threshold_of_1_drops_exact_duplicates_only(run_stages):
    assert {"a", "b", "c"} <= mixed_tasks(run_stages(SIMILAR_ROWS, jaccard_threshold=1.0))


def test_clean_jaccard_threshold_of_half_detects_the_fuzzy_duplicate(run_stages):
    pipeline = run_stages(SIMILAR_ROWS)
    pipeline = pipeline.replace(clean=replace(pipeline.clean, jaccard_threshold=0.5)).run("clean")
    assert pipeline.read_json("clean/report.json")["duplicates"]["near"] >= 1


def test_mix_flagged_duplicates_are_in_the_same_split(run_stages):
    rows = []
    for i in range(60):
        body = " ".join(f"q{i}w{j}" for j in range(60))
        rows += [(f"{body} first", "yes", "a", "flan"), (f"{body} second", "yes", "b", "flan")]
    mixed = run_stages(rows, duplicates="flag").read_rows()
    splits = {}
    for row in mixed:
        splits.setdefault(row["inputs"].split()[0], set()).add(row["split"])
    assert len(mixed) == 120
    assert all(len(names) == 1 for names in splits.values())
    assert {name for names in splits.values() for name in names} == {"train", "validation"}


def test_clean_different_questions_about_the_same_passage_are_not_duplicates(tmp_path):
    root = tmp_path / "root"
    questions = [
        "What did the man eat?",
        "Where does the woman live now?",
        "What did the man eat ?",
    ]
    rows = [
        {"context": f"{LONG} {PASSAGE}", "question": question, "answers": ["x", "not enough"],
         "correct_answer_id": "1"} for question in questions
    ]  # fmt: skip
    write_json_lines(root / "raw/quail/challenge.jsonl", rows)
    write_json_lines(root / "eval/gsm8k/test.jsonl", ITEMS[:1])
    sources = ("muffin/quail", "eval_data/gsm8k")
    fetch = FetchParams(sources=sources, root=str(root), verify=False)
    pipeline = DataPipeline(tmp_path / "workspace", fetch=fetch)
    pipeline.run("fetch", "eval_data", "read", "clean")
    assert pipeline.read_json("clean/report.json")["duplicates"] == {"exact": 1}


def test_clean_after_the_evaluation_items_changed_uses_the_new_items(run_stages, tmp_path):
    pipeline = run_stages(ROWS)
    item = {"question": INPUTS_BY_TASK["unrelated"], "answer": "#### 1"}
    write_json_lines(tmp_path / "root/eval/gsm8k/test.jsonl", [item])
    pipeline.run("fetch", "eval_data", "read", "clean")
    matches = pipeline.read_rows("clean/contamination.parquet")
    assert [row["task"] for row in matches] == ["unrelated"]
