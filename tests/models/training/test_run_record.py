"""The data hashes and the licences of the run record."""

import dataclasses
import json

import pytest

from models.training.run_record import data_hashes, data_licences

LOCK = """
schema: '2.0'
stages:
  digest:
    outs:
    - {path: data/code_digests.json, md5: cc}
  pack:
    outs:
    - {path: data/packed, md5: aa.dir}
    - {path: data/uncached}
  train@base-0:
    outs:
    - {path: runs/base/seed_0/weights, md5: bb}
"""


def test_data_hashes_lists_data_outputs_without_code_digests(tmp_path):
    assert data_hashes(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text(LOCK)
    assert data_hashes(tmp_path) == {"data/packed": "aa.dir"}


CORPUS = [
    {"source": "niv2/tasks", "licence": "MIT", "terms": "open", "tasks": ["task1"]},
    {"source": "cot/flan", "licence": "Apache-2.0", "terms": "open", "tasks": ["cot_aqua"]},
]
COT = {"source": "cot/flan", "licence": "Apache-2.0", "terms": "open"}
NIV2 = {"source": "niv2/tasks", "licence": "MIT", "terms": "open"}


def licences(start, runs):
    record = None if start == "scratch" else runs / start / "run.json"
    return [dataclasses.asdict(entry) for entry in data_licences(CORPUS, start, record)]


def test_data_licences_from_scratch_are_those_of_the_corpus(tmp_path):
    assert licences("scratch", tmp_path) == [COT, NIV2]


def test_data_licences_include_those_of_the_initial_weights(tmp_path):
    text = {"source": "text/plain", "licence": "unknown", "terms": "unstated"}
    (tmp_path / "base").mkdir()
    (tmp_path / "base/run.json").write_text(json.dumps({"licences": [text, COT]}))
    assert licences("base", tmp_path) == [COT, NIV2, text]


@pytest.mark.parametrize("record", [None, "{}", '{"licences": null}'])
def test_data_licences_of_weights_without_recorded_licences_are_unknown(tmp_path, record):
    (tmp_path / "base").mkdir()
    if record:
        (tmp_path / "base/run.json").write_text(record)
    unknown = {"source": "base", "licence": "unknown", "terms": "unstated"}
    assert licences("base", tmp_path) == [unknown, COT, NIV2]
