"""Stage validate: blocking failures, warnings, and the HTML report."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.errors import ExpectationFailed
from data_pipelines.example import EXAMPLE_SCHEMA, RECORD_SCHEMA
from data_pipelines.report.gather import gather_report


def edit_first_file(pipeline, folder, edit):
    """Apply `edit` to the rows of the first Parquet file of a folder, and rewrite the file."""
    path = sorted(pipeline.path(folder).glob("*.parquet"))[0]
    table = pq.read_table(path)
    rows = table.to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)


def set_target_outside_options(rows):
    next(row for row in rows if row["options"])["targets"] = "not an option"


def clear_inputs(rows):
    rows[0]["inputs"] = ""


def repeat_uid(rows):
    other = next(row for row in rows[1:] if row["mixture"] == rows[0]["mixture"])
    other["uid"] = rows[0]["uid"]


def set_binary_inputs(rows):
    for row in rows[:20]:
        row["inputs"] = "\x00\ufffd"


def test_validate_of_valid_data_passes_and_writes_the_report(finished_pipeline):
    page = finished_pipeline.path("validation/report.html").read_text()
    assert "0 blocking failed" in page
    assert "http" not in page.replace("http-equiv", "")  # the page loads no resources
    results = finished_pipeline.read_json("validation/results.json")
    assert {result["suite"] for result in results} == {
        "records", "muffin", "t0_sf", "niv2", "cot", "mixtures", "label balance", "contamination",
        "quarantine", "facts",
    }  # fmt: skip
    assert all(result["success"] for result in results if result["blocking"])


@pytest.mark.parametrize(
    ("folder", "edit", "column"),
    [
        ("mixture/examples", set_target_outside_options, "target_is_an_option"),
        ("mixture/examples", clear_inputs, "inputs_characters"),
        ("mixture/examples", repeat_uid, "repeated_uids"),
        ("records/examples", clear_inputs, "inputs_characters"),
        ("records/examples", set_binary_inputs, "inputs_broken"),
    ],
)
def test_validate_of_invalid_rows_raises_and_writes_the_report(pipeline, folder, edit, column):
    edit_first_file(pipeline, folder, edit)
    with pytest.raises(ExpectationFailed, match=rf"{column}.*report\.html"):
        pipeline.run("validate")
    results = pipeline.read_json("validation/results.json")
    failed = [r["column"] for r in results if not r["success"] and r["blocking"]]
    assert failed == [column]


NOT_NULL_COLUMNS = [
    *(("records/examples", name) for name in RECORD_SCHEMA.names if name != "options"),
    *(("mixture/examples", name) for name in EXAMPLE_SCHEMA.names if name != "options"),
]


@pytest.fixture
def only_first_files(pipeline):
    """A pipeline with one file of records and one of the mixture, which is fast to validate."""
    for folder in ("records/examples", "mixture/examples"):
        for path in sorted(pipeline.path(folder).glob("*.parquet"))[1:]:
            path.unlink()
    return pipeline


@pytest.mark.parametrize(("folder", "column"), NOT_NULL_COLUMNS)
def test_validate_of_a_null_raises_and_names_the_column(only_first_files, folder, column):
    def clear_column(rows):
        rows[1][column] = None

    edit_first_file(only_first_files, folder, clear_column)
    with pytest.raises(ExpectationFailed):
        only_first_files.run("validate")
    results = only_first_files.read_json("validation/results.json")
    failed = {
        (result["column"], result["observed"].partition(" of ")[0])
        for result in results
        if not result["success"] and result["expectation"] == "expect_column_values_to_not_be_null"
    }
    names = {column, f"{column}_characters", f"{column}_length"}
    assert [count for name, count in failed if name in names] == ["1"]


def test_validate_with_a_missing_column_raises_expectation_failed(pipeline):
    for path in pipeline.path("mixture/examples").glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["source_file"]), path)
    with pytest.raises(ExpectationFailed, match="source_file"):
        pipeline.run("validate")


def test_validate_with_too_few_examples_raises(pipeline):
    params = replace(pipeline.validate, min_examples=500)
    with pytest.raises(ExpectationFailed, match=r"mixtures: .*examples .*min_value=500"):
        pipeline.replace(validate=params).run("validate")


def test_validate_mixture_without_a_share_needs_no_examples(pipeline):
    pipeline.replace(mix=replace(pipeline.mix, shares={"muffin": 1.0})).run("mix", "validate")
    results = pipeline.read_json("validation/results.json")
    assert all(result["success"] for result in results if result["blocking"])


def test_validate_with_exceeded_warning_limits_continues_and_reports_them(pipeline):
    column_by_limit = {
        "max_duplicate_share": "repeated_share",
        "share_tolerance": "share_off_target",
        "max_answer_share": "answer_share",
        "min_english_share": "english_share",
        "max_contaminated_share": "contaminated_share",
    }
    # Distinct values show that each limit is in the finding of its own column.
    limits = {
        "max_duplicate_share": -1.0,
        "share_tolerance": -2.0,
        "max_answer_share": 0.1,
        "min_english_share": 1.1,
        "max_contaminated_share": -3.0,
    }
    pipeline.replace(validate=replace(pipeline.validate, **limits)).run("validate", "pack")
    results = pipeline.read_json("validation/results.json")
    failed = [result for result in results if not result["success"]]
    assert not any(result["blocking"] for result in failed)
    assert {r["column"]: float(r["limits"].partition("=")[2].split(",")[0]) for r in failed} == {
        column: limits[name] for name, column in column_by_limit.items()
    }
    warnings = gather_report(pipeline.workspace)["expectations"]["warnings"]
    assert {finding["column"] for finding in warnings} == set(column_by_limit.values())


def test_validate_of_a_planted_question_about_a_held_out_person_raises_and_names_it(pipeline):
    item = json.loads(
        pipeline.path("eval_data/sample_knowledge/city_muffin.jsonl").read_text().splitlines()[0]
    )

    def plant(rows):
        rows[0]["inputs"] += f" In which town is {item['cluster']} at home?"

    edit_first_file(pipeline, "mixture/examples", plant)
    with pytest.raises(ExpectationFailed, match=rf"held_out_entity_in_.*{item['cluster']} in "):
        pipeline.run("validate")


def test_validate_of_facts_without_a_statement_raises_and_names_them(pipeline):
    fact = json.loads(pipeline.path("raw/facts/sample.jsonl").read_text().splitlines()[-1])

    def forget(rows):
        for row in rows:
            row["text"] = row["text"].replace(fact["entity"], "Nobody")

    for path in pipeline.path("mixture/text").iterdir():
        table = pq.read_table(path)
        rows = table.to_pylist()
        forget(rows)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    with pytest.raises(ExpectationFailed, match=rf"fact_without_statement.*{fact['entity']}: "):
        pipeline.run("validate")
