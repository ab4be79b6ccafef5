"""Catalog of sources: content of the built-in catalog, and errors in a user's catalog."""

import re

import pytest

from data_pipelines import catalog
from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.table import READERS, SCORED_READERS
from data_pipelines.sources.raw.table import DATASETS
from data_pipelines.sources.table import LOADERS
from data_pipelines.templates.instructions import group_names

USER_SOURCES = ("text/plain", "flan/export")
"""Sources whose files the user provides, so they have no hashes and no URL."""


def test_load_built_in_catalog_has_hashes_and_urls_of_every_published_source():
    sources = catalog.load(catalog.BUILT_IN)
    hashes = catalog.load_hashes(catalog.BUILT_IN)
    assert {s.mixture for s in sources.values()} == {"", "cot", "niv2", "muffin", "t0_sf", "text"}
    for name, source in sources.items():
        assert source.format in (READERS if source.suite else LOADERS)
        assert source.licence
        if name in USER_SOURCES:
            continue
        hashed = [file for file in hashes if catalog.matches_any(file, source.files)]
        assert hashed, name
        assert all(url.startswith("https://") for url in source.url_by_pattern.values()), name
        assert set(source.truncated_files) <= set(hashed), name
        if "dataset" in source.options:
            assert source.options["dataset"] in DATASETS
        if source.format == "raw":
            assert source.options["templates"] in group_names()
    datasets = {s.options["dataset"] for s in sources.values() if s.format == "raw"}
    assert datasets == set(DATASETS)
    patterns = [tuple(source.url_by_pattern) for source in sources.values()]
    unused = [
        file for file in hashes if not any(catalog.matches_any(file, names) for names in patterns)
    ]
    assert unused == []


ENTRY = "x: {mixture: cot, format: cot_tsv, files: [a], licence: l, terms: open"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x: {mixture: cot, format: cot_tsv, files: [a], licence: l, terms: no}",
         "x.terms: False is not one of open"),
        ("x: {mixture: cot, format: cot_tsv, files: [a], licence: l, terms: free}",
         "x.terms: 'free' is not one of open, share-alike, non-commercial, unstated"),
        ("x: {mixture: cot, format: cot_tvs, files: [a], licence: l, terms: open}",
         "x.format: 'cot_tvs' is not one of cot_tsv"),
        ("x: {mixture: cto, format: cot_tsv, files: [a], licence: l, terms: open}",
         "x.mixture: 'cto' is not one of muffin, t0_sf, niv2, cot, text"),
        ("x: {format: cot_tsv, files: [a], licence: l, terms: open}",
         "x: exactly one of mixture and suite is required"),
        ("x: {mixture: cot, format: cot_tsv, licence: l, terms: open}", "x.files: Field required"),
        (f"{ENTRY}, colour: red}}", "x.colour: unknown field; known are format, files, "),
        (f"{ENTRY}, option: {{}}}}", "x.option: unknown field; did you mean 'options'? known are"),
        (f"{ENTRY}, cut: [a]}}", "x.cut: unknown field; renamed to 'truncated_files'"),
        (f"{ENTRY}, also: {{a: b}}}}", "x.also: unknown field; renamed to 'additional_files'"),
        (f"{ENTRY}, options: {{composes: true}}}}",
         "x: options.composes: unknown option; renamed to 'allow_exemplars'"),
        (f"{ENTRY}, splits: {{a: test}}}}",
         "x: splits and num_items are fields of evaluation suites"),
        ("x: {suite: s, format: items, files: [a], licence: l, terms: open, num_items: {a: 1}}",
         "x: num_items needs num_items_source, which states where they are from"),
        ("x: [", "is not YAML"),
        ("- x", "must be a mapping"),
    ],
)  # fmt: skip
def test_load_invalid_catalog_fails(tmp_path, content, message):
    path = tmp_path / "catalog.yaml"
    path.write_text(content)
    with pytest.raises(SourceError, match=re.escape(message)) as caught:
        catalog.load(path)
    assert str(caught.value).startswith(str(path))


def test_load_missing_catalog_fails(tmp_path):
    with pytest.raises(SourceError, match=r"none\.yaml' does not exist"):
        catalog.load(tmp_path / "none.yaml")


def test_select_sources_by_a_former_name_reports_the_present_name():
    sources = catalog.load(catalog.BUILT_IN)
    with pytest.raises(
        SourceError, match=r"no source matches 'benchmarks/\*'; renamed to 'eval_data/\*'"
    ):
        catalog.select_sources(sources, ("benchmarks/*",))


@pytest.mark.parametrize(
    ("file", "pattern", "expected"),
    [("a/b.txt", "a/*.txt", True), ("a/b/c.txt", "a/*.txt", False), ("a/b.txt", "*.txt", False)],
)
def test_matches_pattern_star_does_not_match_a_slash(file, pattern, expected):
    assert catalog.matches_pattern(file, pattern) == expected


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("a/dev.jsonl", "dev"), ("a/ARC-Easy-Dev.jsonl", "dev"), ("a/other.jsonl", None),
        ("a/dev/ARC-Easy-TEST.jsonl", "test"),
    ],
)  # fmt: skip
def test_match_file_name_ignores_folders_and_case(file, expected):
    assert catalog.match_file_name(file, {"*test*": "test", "*dev*": "dev"}) == expected


PUBLISHED_TOTALS = {
    # Totals that the papers state; the sizes of single files are in the catalog.
    "mmlu": (57, 14_042), "bbh": (27, 6_511), "gsm8k": (1, 1_319), "svamp": (1, 1_000),
    "asdiv": (1, 2_305), "boolq": (1, 3_270),
}  # fmt: skip


@pytest.mark.parametrize("suite", PUBLISHED_TOTALS)
def test_built_in_catalog_states_the_published_number_of_items(suite):
    sizes = catalog.load(catalog.BUILT_IN)[f"eval_data/{suite}"].num_items
    # Three rows of two BBH files name no option as their target, so they are no items.
    num_invalid = 3 if suite == "bbh" else 0
    assert (len(sizes), sum(sizes.values()) + num_invalid) == PUBLISHED_TOTALS[suite]


@pytest.mark.parametrize(
    ("suite", "file", "split", "num_items"),
    [
        ("arc_easy", "ARC-Easy-Test.jsonl", "test", 2376), ("arc_easy", "test.jsonl", "test", 2376),
        ("arc_easy", "dev.jsonl", "dev", 570), ("arc_easy", "ARC-Easy-Train.jsonl", "train", 2251),
        ("arc_challenge", "ARC-Challenge-Test.jsonl", "test", 1172),
        ("arc_challenge", "ARC-Challenge-Dev.jsonl", "dev", 299),
        ("strategyqa", "train.json", "train", 2061), ("strategyqa", "dev.json", "dev", 229),
        ("strategyqa_bigbench", "task.json", "train", 2290),
        ("elementary_science", "AI2-Elementary-NDMC-Feb2016-Train.jsonl", "train", 432),
        ("elementary_science", "AI2-Elementary-NDMC-Feb2016-Dev.jsonl", "dev", 84),
        ("mgsm", "mgsm_bn.tsv", "test", 250), ("tydiqa", "bengali_tydiqa_dev.json", "dev", 113),
        ("mmlu", "anatomy_test.csv", "test", 135), ("mmlu_dev", "anatomy_dev.csv", "dev", 5),
        ("bbh", "snarks.json", "test", 178), ("boolq", "val.jsonl", "dev", 3270),
    ],
)  # fmt: skip
def test_built_in_catalog_states_split_and_size_of_a_file(suite, file, split, num_items):
    source = catalog.load(catalog.BUILT_IN)[f"eval_data/{suite}"]
    assert catalog.match_file_name(file, source.splits) == split
    assert catalog.match_file_name(file, source.num_items) == num_items


def test_built_in_catalog_states_the_split_of_every_scored_file():
    hashes = catalog.load_hashes(catalog.BUILT_IN)
    for name, source in catalog.load(catalog.BUILT_IN).items():
        if source.format in SCORED_READERS:
            files = [file for file in hashes if catalog.matches_any(file, source.files)]
            assert files, name
            assert all(catalog.match_file_name(file, source.splits) for file in files), name


def test_built_in_catalog_states_the_answers_of_every_bbh_task():
    answers = catalog.load(catalog.BUILT_IN)["eval_data/bbh"].options["answers"]
    free = {task for task, kind in answers.items() if kind == "free"}
    assert len(answers) == 27
    assert free == {
        "dyck_languages", "multistep_arithmetic_two", "object_counting", "word_sorting",
    }  # fmt: skip
