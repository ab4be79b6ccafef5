"""The data report: sums of its counts, the HTML page, and errors that name the stage to run."""

import json

import pytest

from data_pipelines.errors import DataError
from data_pipelines.report.gather import gather_report
from data_pipelines.report.page import render


def test_gather_report_task_counts_add_up_to_the_totals(finished_pipeline):
    report = gather_report(finished_pipeline.workspace)
    packing = report["packing"]
    assert packing["train"]["examples"] + packing["validation"]["examples"] == report["examples"]
    tasks = [task for m in report["mixtures"].values() for task in m["tasks"].values()]
    for field in ("encoder_tokens", "decoder_tokens", "truncated"):
        expected = packing["train"][field] + packing["validation"][field]
        assert sum(task[field] for task in tasks) == expected
    assert sum(task["dropped"] for task in tasks) == report["rows_dropped"]
    assert sum(task["duplicates"] for task in tasks) == sum(report["duplicates"].values())
    assert all(task["examples"] <= min(task["available"], task["target"]) for task in tasks)
    records = finished_pipeline.read_json("records/report.json")
    available = sum(mixture["available"] for mixture in report["mixtures"].values())
    assert available + report["rows_dropped"] + report["held_out"] == records["examples"]
    assert packing["train"]["row_lower_bound"] <= packing["train"]["rows"]


def test_render_page_shows_the_report_and_loads_no_resources(finished_pipeline):
    page = finished_pipeline.path("packed/report.html").read_text()
    assert f"{gather_report(finished_pipeline.workspace)['examples']:,}" in page
    assert "http" not in page


def test_gather_report_lists_omitted_sources_and_the_page_shows_them(pipeline):
    path = pipeline.path("raw/manifest.json")
    manifest = json.loads(path.read_text())
    reason = "no file matches eval/svamp/SVAMP.json below /data"
    manifest["omitted_sources"] = {"eval_data/svamp": {"reason": reason, "similar_files": []}}
    path.write_text(json.dumps(manifest))
    report = gather_report(pipeline.workspace)
    line = f"source eval_data/svamp is left out: {reason}"
    assert report["omissions"] == [line]
    assert line in render(report)
    assert "Left out" not in pipeline.path("packed/report.html").read_text()


def test_gather_report_before_any_stage_names_the_stage_to_run(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.json is missing; run `flanmoe fetch`"):
        gather_report(tmp_path)


def test_gather_report_of_an_older_release_says_to_run_again(pipeline):
    path = pipeline.path("packed/train/manifest.json")
    manifest = json.loads(path.read_text())
    manifest["fewest_rows"] = manifest.pop("row_lower_bound")
    path.write_text(json.dumps(manifest))
    message = r"no field 'row_lower_bound': an older release .* wrote them; run `flanmoe run`$"
    with pytest.raises(DataError, match=message):
        gather_report(pipeline.workspace)
