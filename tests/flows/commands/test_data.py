"""`flanmoe data`: the catalog and the report, as tables and as JSON."""

import json

import pytest

pytestmark = pytest.mark.e2e


def test_report_shows_shares_packing_and_the_page(finished):
    shown = finished.project.invoke("data", "report")
    assert shown.returncode == 0, shown.stderr
    for name in ("muffin", "t0_sf", "niv2", "cot"):
        assert name in shown.stdout
    assert "encoder fill" in shown.stdout
    report = json.loads(finished.project.invoke("data", "report", "--json").stdout)
    assert set(report["contamination"]) == {"sample"}
    assert report["contamination"]["sample"]["num_items_in_mixture"] == 0
    assert sum(entry["realised"] for entry in report["shares"].values()) > 0.99
    assert report["packing"]["train"]["encoder_fill"] > 0.9
    page = finished.project.folder / "data/packed/report.html"
    assert str(page) in shown.stdout.replace("\n", "")
    assert page.is_file()


def test_report_without_data_names_the_command(fresh_project):
    done = fresh_project.invoke("data", "report")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "run `flanmoe fetch`" in done.stderr


def test_catalog_lists_what_is_present_missing_and_allowed(fresh_project):
    root = fresh_project.folder / "files"
    (root / "raw/trec").mkdir(parents=True)
    (root / "raw/trec/TREC.train").write_bytes(b"HUM:ind Who ?\n")
    (fresh_project.folder / "data/raw/raw/dream").mkdir(parents=True)
    (fresh_project.folder / "data/raw/raw/dream/dev.json").write_text("[]")
    params = fresh_project.params()
    params["data_pipelines"]["fetch"].update(root=str(root), licences=["open", "unstated"])
    fresh_project.write_params(params)
    rows = json.loads(fresh_project.invoke("data", "catalog", "--json").stdout)
    source_by_name = {row["name"]: row for row in rows}
    assert source_by_name["muffin/trec"]["state"] == "in the root, not fetched"
    assert source_by_name["muffin/dream"]["state"] == "present"
    assert source_by_name["muffin/qasc"]["state"] == "missing"
    assert source_by_name["muffin/trec"]["allowed"]
    assert not source_by_name["muffin/dream"]["allowed"]
    niv2 = source_by_name["niv2/tasks"]
    assert len(niv2["hashes"]) == niv2["known_files"] == 97
    assert any(row["suite"] == "bbh" for row in rows)
    shown = fresh_project.invoke("data", "catalog").stdout
    assert "muffin/rotten_tomatoes" in shown
    assert "evaluation: mmlu" in shown


def test_evaluate_counts_items_that_the_mixture_overlaps_with(finished_copy):
    overlap = finished_copy.folder / "data/mixture/contamination.json"
    task = json.loads((finished_copy.folder / "data/eval_data/index.json").read_text())[0]
    file = finished_copy.folder / "data/eval_data" / task["file"]
    item = json.loads(file.read_text().splitlines()[0])["id"]
    contamination = json.loads(overlap.read_text())
    contamination["sample"].update(num_contaminated=1, tasks={task["task"]: [item]})
    overlap.unlink()  # DVC links it to its cache
    overlap.write_text(json.dumps(contamination))
    assert finished_copy.invoke("evaluate", "moe_instruct").returncode == 0
    record = json.loads((finished_copy.folder / "runs/moe_instruct/evaluation.json").read_text())
    count_by_task = {t["task"]: t["num_contaminated"] for t in record["tasks"]}
    assert count_by_task.pop(f"sample/{task['task']}") == 1
    assert set(count_by_task.values()) == {0}
    assert record["num_contaminated"] == record["suites"][0]["num_contaminated"] == 1
    assert record["contamination"] == {"sample": {"num_items": 120, "num_contaminated": 1}}
