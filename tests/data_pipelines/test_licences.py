"""Licences: their terms, and the way from source files to the packed corpora."""

import pytest

from data_pipelines import catalog
from data_pipelines.licences import (
    classify_terms,
    join_licences,
    restrict_licences,
    select_licences,
)
from data_pipelines.packed import PackedCorpus

# As the task files of Super-NaturalInstructions and the catalog word them.
TERMS = {
    "Apache 2.0": "open",
    "Apache-2.0": "open",
    "MIT": "open",
    "CC BY 4.0": "open",
    "CDLA Permissive 2.0": "open",
    "Public Domain": "open",
    "LibriVox: Public Domain (https://librivox.org/pages/public-domain/)": "open",
    "CC BY-SA 4.0": "share-alike",
    "CC BY-SA 3.0 / GFDL": "share-alike",
    "CC BY-NC 4.0": "non-commercial",
    "CC BY-NC-SA 3.0": "non-commercial",
    "CC BY-NC-ND 4.0": "non-commercial",
    "non-commercial research only": "non-commercial",
    "MSR-LA": "non-commercial",
    "RACE license": "non-commercial",
    "Dedicated License (https://github.com/nlpdata/dialogre/blob/master/license.txt)": "unstated",
    "Dedicated License (https://github.com/google-research-datasets/paws/)": "unstated",
    "unknown": "unstated",
}


@pytest.mark.parametrize(("licence", "terms"), TERMS.items())
def test_classify_terms_of_published_names(licence, terms):
    assert classify_terms(licence) == terms


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["MIT"], ("MIT", "open")),
        (["Unknown"], ("unknown", "unstated")),
        ([], ("unknown", "unstated")),
        (["CC BY-SA 4.0", "MSR-LA", "Apache"], ("CC BY-SA 4.0, MSR-LA, Apache", "non-commercial")),
        (["MIT", "unknown"], ("MIT, unknown", "unstated")),
    ],
)
def test_join_licences_has_the_strictest_terms(names, expected):
    assert join_licences(names) == expected


def test_select_and_restrict_licences_group_tasks_by_source_and_licence():
    mit, unknown = {"licence": "MIT", "terms": "open"}, {"licence": "unknown", "terms": "unstated"}
    tasks = [
        {"task": "b", "source": "niv2/tasks", **mit},
        {"task": "a", "source": "niv2/tasks", **mit},
        {"task": "c", "source": "niv2/tasks", **unknown},
    ]
    licences = select_licences(tasks)
    assert licences == [
        {"source": "niv2/tasks", **mit, "tasks": ["a", "b"]},
        {"source": "niv2/tasks", **unknown, "tasks": ["c"]},
    ]
    assert restrict_licences(licences, ["b", "x"]) == [
        {"source": "niv2/tasks", **mit, "tasks": ["b"]}
    ]


def test_catalog_states_a_licence_for_every_source():
    for name, source in catalog.load(catalog.BUILT_IN).items():
        assert source.licence.strip(), name
        assert not source.licence.startswith("not stated"), name
        if source.licence == "unknown":
            assert source.terms == "unstated", name


@pytest.mark.parametrize("corpus", ["train", "validation"])
def test_packed_corpus_has_the_licences_of_its_tasks(finished_pipeline, corpus):
    manifest = finished_pipeline.read_json(f"packed/{corpus}/manifest.json")
    sources = finished_pipeline.read_json("raw/manifest.json")["sources"]
    tasks = [task for entry in manifest["licences"] for task in entry["tasks"]]
    assert sorted(tasks) == sorted(manifest["by_task"])
    for entry in manifest["licences"]:
        source = sources[entry["source"]]
        assert source["mixture"] in ("muffin", "t0_sf", "niv2", "cot")
        assert (entry["licence"], entry["terms"]) == (source["licence"], source["terms"])


def test_packed_corpus_of_some_tasks_has_only_their_licences(finished_pipeline):
    corpus = PackedCorpus.open(finished_pipeline.path("packed/train"))
    sources = finished_pipeline.read_json("raw/manifest.json")["sources"]
    licences = corpus.filter_tasks(["cot_*"]).manifest["licences"]
    assert {sources[entry["source"]]["mixture"] for entry in licences} == {"cot"}
    assert len(licences) < len(corpus.manifest["licences"])


@pytest.mark.parametrize("objective", ["span_corruption", "prefix_lm"])
def test_packed_text_has_the_licences_of_the_text_sources(finished_pipeline, objective):
    licences = finished_pipeline.read_json(f"packed/{objective}/manifest.json")["licences"]
    sources = finished_pipeline.read_json("raw/manifest.json")["sources"]
    assert [sources[entry["source"]]["mixture"] for entry in licences] == ["text"]
