"""Stage eval_data: index, items for decontamination, unique ids."""

import json

import pytest

from data_pipelines.errors import SourceError


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
    del manifest["sources"]["sample/eval_data"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(SourceError, match="no evaluation suite is among the sources; add one"):
        pipeline.run("eval_data")
