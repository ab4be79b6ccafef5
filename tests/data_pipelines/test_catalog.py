"""Catalog of sources: content of the built-in catalog, and errors in a user's catalog."""

import re

import pytest

from data_pipelines import catalog
from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.table import READERS
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
