"""Stage eval_data: index, splits and sizes, items for decontamination, unique ids."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import FetchParams
from tests.data_pipelines.factories import DataPipeline
from tests.data_pipelines.sources.factories import json_lines
from tests.data_pipelines.sources.raw.published_rows import ARC


@pytest.fixture
def eval_files(tmp_path):
    """Return a function that runs fetch and eval_data on files, by path below the root."""

    def run(sources, **files):
        for name, content in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        fetch = FetchParams(sample=None, sources=sources, root=str(tmp_path / "root"), verify=False)
        return DataPipeline(tmp_path / "workspace", fetch=fetch).run("fetch", "eval_data")

    return run


STRATEGY_QA = {"question": "Is the sky blue?", "answer": True, "facts": ["It is."]}


def test_eval_data_states_split_and_published_size_of_each_file(eval_files):
    counting = {"examples": [{"input": f"How many, {i}?", "target": str(i)} for i in range(2)]}
    pipeline = eval_files(
        ("eval_data/gsm8k", "eval_data/bbh", "eval_data/arc_easy"),
        **{
            "eval/gsm8k/test.jsonl": json_lines({"question": "Q?", "answer": "#### 1"}),
            "eval/bbh/bbh/object_counting.json": json.dumps(counting),
            "eval/arc/ARC-Easy/dev.jsonl": json_lines(ARC),
            "eval/arc/ARC-Easy/ARC-Easy-Test.jsonl": json_lines(ARC, ARC),
        },
    )
    entries = {entry["source_file"]: entry for entry in pipeline.read_json("eval_data/index.json")}
    assert {
        file: (entry["split"], entry["num_items"], entry["num_published"])
        for file, entry in entries.items()
    } == {
        "eval/gsm8k/test.jsonl": ("test", 1, 1319),
        "eval/bbh/bbh/object_counting.json": ("test", 2, 250),
        "eval/arc/ARC-Easy/dev.jsonl": ("dev", 1, 570),
        "eval/arc/ARC-Easy/ARC-Easy-Test.jsonl": ("test", 2, 2376),
    }
    lines = pipeline.path("eval_data/bbh/object_counting.jsonl").read_text().splitlines()
    assert not any("options" in json.loads(line) for line in lines)


def test_eval_data_training_split_is_no_scored_item(eval_files):
    pipeline = eval_files(
        ("eval_data/strategyqa", "eval_data/elementary_science"),
        **{
            "eval/strategyqa/train.json": json.dumps([STRATEGY_QA] * 3),
            "eval/strategyqa/dev.json": json.dumps([{**STRATEGY_QA, "question": "Is it dry?"}]),
            "eval/elementary_science/AI2-Elementary-NDMC-Feb2016-Train.jsonl": json_lines(ARC),
            "eval/elementary_science/AI2-Elementary-NDMC-Feb2016-Dev.jsonl": json_lines(ARC),
        },
    )
    scored = pipeline.read_rows("eval_data/eval_items.parquet")
    assert {(row["suite"], row["task"]) for row in scored} == {
        ("strategyqa", "dev"), ("elementary_science", "AI2-Elementary-NDMC-Feb2016-Dev"),
    }  # fmt: skip
    index = pipeline.read_json("eval_data/index.json")
    assert sorted(entry["split"] for entry in index) == ["dev", "dev", "train", "train"]


def test_eval_data_files_of_two_splits_are_two_tasks(eval_files):
    pipeline = eval_files(
        ("eval_data/arc_easy",),
        **{
            "eval/arc/ARC-Easy/arc_easy_dev.jsonl": json_lines(ARC),
            "eval/arc/ARC-Easy/arc_easy_test.jsonl": json_lines(ARC),
        },
    )
    index = pipeline.read_json("eval_data/index.json")
    assert {entry["task"] for entry in index} == {"arc_easy_dev", "arc_easy_test"}


def test_eval_data_two_files_of_the_same_task_raise(eval_files):
    question = {"id": "1", "question": "Q?", "answers": [{"text": "a"}]}
    content = json.dumps({"data": [{"paragraphs": [{"context": "C", "qas": [question]}]}]})
    files = {
        f"eval/tydiqa_goldp/{folder}/english_tydiqa_dev.json": content
        for folder in ("english", "other")
    }
    with pytest.raises(
        SourceError, match=r"other/.*: task 'english_tydiqa' of suite 'tydiqa' is also in another"
    ):
        eval_files(("eval_data/tydiqa",), **files)


def test_eval_data_writes_every_scored_item_to_eval_items(pipeline):
    index = pipeline.read_json("eval_data/index.json")
    assert {entry["num_items"] for entry in index} == {12}
    assert len(pipeline.read_table("eval_data/eval_items.parquet")) == 12 * len(index)


def test_eval_data_twice_gives_the_same_index(pipeline):
    index = pipeline.read_json("eval_data/index.json")
    pipeline.run("eval_data")
    assert pipeline.read_json("eval_data/index.json") == index


def test_eval_data_repeated_ids_get_a_number(pipeline):
    file = pipeline.path("raw/eval_data/sample/size_of.jsonl")
    first, *others = file.read_text().splitlines()
    file.write_text("\n".join([first, first, *others]) + "\n")
    pipeline.run("eval_data")
    lines = pipeline.path("eval_data/sample/size_of.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines[:2]] == ["size_of-0", "size_of-0#2"]


def test_eval_data_without_a_suite_raises(pipeline):
    path = pipeline.path("raw/manifest.json")
    manifest = json.loads(path.read_text())
    for name, source in list(manifest["sources"].items()):
        if source["suite"]:
            del manifest["sources"][name]
    path.write_text(json.dumps(manifest))
    with pytest.raises(SourceError, match="no evaluation suite is among the sources; add one"):
        pipeline.run("eval_data")
