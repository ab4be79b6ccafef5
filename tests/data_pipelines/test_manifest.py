"""Reading data/raw/manifest.json of this and of older releases."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.manifest import read_sources


def write_manifest(workspace, sources, **fields):
    folder = workspace / "data" / "raw"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"files": {}, "sources": sources} | fields))


def test_read_sources_of_this_release_returns_the_sources(tmp_path):
    sources = {"cot/flan": {"format": "cot_tsv", "present_files": ["a.tsv"]}}
    write_manifest(tmp_path, sources, omitted_sources={})
    assert read_sources(tmp_path) == sources


def test_read_sources_missing_manifest_names_the_command(tmp_path):
    with pytest.raises(SourceError, match=r"manifest.json is missing; run `flanmoe fetch`"):
        read_sources(tmp_path)


def test_read_sources_manifest_of_release_0_1_0_names_the_command(tmp_path):
    write_manifest(tmp_path, {"cot/flan": {"format": "cot_tsv", "found": ["a.tsv"], "cut": []}})
    with pytest.raises(SourceError, match=r"of an older release; run `flanmoe fetch`"):
        read_sources(tmp_path)
