"""Rendered rows of the FLAN Collection in JSON lines and Parquet."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.errors import SourceError
from tests.data_pipelines.sources.factories import json_lines, load_rows

ROW = {"inputs": " i", "targets": "t", "task_name": "rte", "options": ["t", "u"]}


def make_export(make_part, name="e.jsonl", *records, mixture="muffin", **options):
    return make_part(name, json_lines(*records), "flan_export", mixture, **options)


def test_export_rows_are_read_or_rejected(make_part):
    content = json.dumps(ROW) + '\n{"inputs": "i"}\n{truncated\n\n[1]\n'
    rows = load_rows(make_part("muffin/rte.jsonl", content, "flan_export"))
    row, without_target, truncated, no_object = rows
    assert (row.mixture, row.options, row.inputs) == ("muffin", ("t", "u"), " i")
    assert without_target.reason == "no targets"
    assert truncated.reason.startswith("not JSON")
    assert (no_object.reason, no_object.source_row) == ("not a JSON object", 5)


@pytest.mark.parametrize(
    ("task_source", "mixture"),
    [("Flan2021", "muffin"), ("FLAN", "muffin"), ("P3", "t0_sf"), ("NIv2", "niv2"), ("CoT", "cot"),
     ("Dialog", "muffin"), ("Program Synthesis", "muffin")],
)  # fmt: skip
def test_export_task_source_selects_the_mixture(make_part, task_source, mixture):
    record = {**ROW, "task_source": task_source, "template_type": "fs_opt"}
    (row,) = load_rows(make_export(make_part, "e.jsonl", record, mixture=""))
    assert row.mixture == mixture
    assert row.num_exemplars
    assert not row.allow_exemplars


@pytest.mark.parametrize(
    ("option", "template_type", "allowed"),
    [(True, "zs_opt", True), (True, "fs_opt", False), (False, "zs_opt", False)],
)
def test_export_allows_exemplars_in_zero_shot_rows_if_the_catalog_does(
    make_part, option, template_type, allowed
):
    record = {**ROW, "template_type": template_type}
    (row,) = load_rows(make_export(make_part, "e.jsonl", record, allow_exemplars=option))
    assert row.allow_exemplars == allowed


def test_export_with_an_unknown_task_source_is_rejected(make_part):
    (row,) = load_rows(make_export(make_part, "e.jsonl", {**ROW, "task_source": "x"}))
    assert row.reason.startswith("task_source: 'x' is not one of cot, dialog, ")


def test_export_in_json_gzip_and_parquet_has_the_same_rows(make_part):
    records = [{**ROW, "inputs": f"i {n}", "task_source": "CoT"} for n in range(5000)]
    plain = load_rows(make_export(make_part, "e.jsonl", *records))
    compressed = load_rows(make_export(make_part, "e.jsonl.gz", *records))
    parquet = make_part("e.parquet", b"", "flan_export")
    pq.write_table(pa.Table.from_pylist(records), parquet.path)
    for rows in (compressed, load_rows(parquet)):
        assert [r.inputs for r in rows] == [r.inputs for r in plain]
        assert [r.source_row for r in rows] == [r.source_row for r in plain]


@pytest.mark.parametrize("data", [b"PAR1 truncated", b""])
def test_export_damaged_parquet_fails_with_the_file_name(make_part, data):
    with pytest.raises(SourceError, match=r"e\.parquet is not a readable Parquet file"):
        load_rows(make_part("e.parquet", data, "flan_export"))


def test_export_parquet_without_the_required_columns_fails(make_part):
    part = make_part("e.parquet", b"", "flan_export")
    pq.write_table(pa.table({"x": [1]}), part.path)
    with pytest.raises(SourceError, match="has no column inputs, targets, task_name"):
        load_rows(part)
