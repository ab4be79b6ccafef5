"""`flanmoe data`: the catalog and the report, as tables and as JSON."""

import json
import subprocess

import pyarrow.parquet as pq
import pytest

from data_pipelines.sources.sample.generate import SAMPLE_SUITES

pytestmark = pytest.mark.e2e

IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def test_report_shows_shares_packing_and_the_page(finished):
    shown = finished.project.invoke("data", "report")
    assert shown.returncode == 0, shown.stderr
    for name in ("muffin", "t0_sf", "niv2", "cot"):
        assert name in shown.stdout
    assert "encoder fill" in shown.stdout
    report = json.loads(finished.project.invoke("data", "report", "--json").stdout)
    assert set(report["contamination"]) == set(SAMPLE_SUITES)
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
    index = json.loads((finished_copy.folder / "data/eval_data/index.json").read_text())
    task = next(entry for entry in index if entry["suite"] == "sample")
    file = finished_copy.folder / "data/eval_data" / task["file"]
    item = json.loads(file.read_text().splitlines()[0])["id"]
    contamination = json.loads(overlap.read_text())
    contamination["sample"].update(num_contaminated=1, tasks={task["task"]: [item]})
    overlap.unlink()  # DVC links it to its cache
    overlap.write_text(json.dumps(contamination))
    assert finished_copy.invoke("evaluate", "moe_instruct").returncode == 0
    record = json.loads(
        (finished_copy.folder / "runs/moe_instruct/seed_0/evaluation.json").read_text()
    )
    count_by_task = {t["task"]: t["num_contaminated"] for t in record["tasks"]}
    assert count_by_task.pop(f"sample/{task['task']}") == 1
    assert set(count_by_task.values()) == {0}
    assert record["num_contaminated"] == record["suites"][0]["num_contaminated"] == 1
    counts = record["contamination"]
    assert counts.pop("sample") == {"num_items": 105, "num_contaminated": 1}
    assert {count["num_contaminated"] for count in counts.values()} == {0}


def test_seen_lists_the_rows_of_a_run_and_the_reads_of_the_runs_behind_it(finished):
    project = finished.project
    shown = project.invoke("data", "seen", "moe_instruct", "--steps", "2:3", "--json")
    assert shown.returncode == 0, shown.stderr
    examples = json.loads(shown.stdout)["examples"]
    mixture = project.folder / "data/mixture"
    instructions = {row["uid"] for row in pq.read_table(mixture / "examples").to_pylist()}
    rows = {
        row["uid"]: row
        for kind in ("examples", "text")
        for row in pq.read_table(mixture / kind).to_pylist()
    }
    assert {example["step"] for example in examples} == {2, 3}
    assert all(rows[e["uid"]]["source_row"] == e["source_row"] for e in examples)
    uid = next(e["uid"] for e in examples if e["uid"] in instructions)
    item = json.loads(
        project.invoke("data", "seen", "moe_instruct", "--item", uid, "--json").stdout
    )
    assert [(run["run"], run["in_corpus"]) for run in item["runs"]] == [
        ("moe_instruct-0", True),
        ("moe_base-0", False),
    ]
    assert 2 in {read["step"] for read in item["runs"][0]["reads"]}


def test_run_record_has_the_licences_of_its_data_and_of_its_start(finished):
    runs = finished.project.folder / "runs"
    base, instruct = (
        {
            tuple(entry.values())
            for entry in json.loads((runs / name / "seed_0" / "run.json").read_text())["licences"]
        }
        for name in ("moe_base", "moe_instruct")
    )
    assert base < instruct
    assert {licence for licence, _, _ in base} == {"Apache-2.0 (generated)"}
    report = json.loads(finished.project.invoke("data", "report", "--json").stdout)
    used = {entry["source"] for entry in report["licences"]}
    assert {source for _, source, _ in instruct} == used | {source for _, source, _ in base}


def test_diff_of_the_project_with_itself_by_revision_and_folder_is_empty(finished_copy):
    for words in (["add", "dvc.lock"], [*IDENTITY, "commit", "-qm", "lock"]):
        subprocess.run(["git", "-C", str(finished_copy.folder), *words], check=True)
    shown = finished_copy.invoke("data", "diff", "HEAD", "--json")
    assert shown.returncode == 0, shown.stderr
    difference = json.loads(shown.stdout)
    assert difference["sources"] == {"added": [], "removed": [], "changed": {}}
    assert all(not mixture["added"] for mixture in difference["mixtures"].values())
    assert difference["data_version"][0] == difference["data_version"][1]
    assert "sources: the same" in finished_copy.invoke("data", "diff", "data", ".").stdout
