"""flanmoe data: the catalog and the report, in words and for scripts."""

import json

import yaml


def test_the_report_in_words_and_as_json(finished):
    shown = finished.project.call("data", "report")
    assert shown.returncode == 0, shown.stderr
    for name in ("muffin", "t0_sf", "niv2", "cot"):
        assert name in shown.stdout
    assert "encoder fill" in shown.stdout
    report = json.loads(finished.project.call("data", "report", "--json").stdout)
    assert set(report["contamination"]) == {"sample"}
    assert report["contamination"]["sample"]["items_in_mixture"] == 0
    assert sum(entry["realised"] for entry in report["shares"].values()) > 0.99
    assert report["packing"]["train"]["encoder_fill"] > 0.9
    page = finished.project.folder / "data/packed/report.html"
    assert str(page) in shown.stdout.replace("\n", "")
    assert page.is_file()


def test_a_report_of_nothing(fresh_project):
    done = fresh_project.call("data", "report")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "run `flanmoe fetch`" in done.stderr


def test_the_catalog_says_what_is_present_missing_and_allowed(fresh_project):
    root = fresh_project.folder / "files"
    (root / "raw/trec").mkdir(parents=True)
    (root / "raw/trec/TREC.train").write_bytes(b"HUM:ind Who ?\n")
    (fresh_project.folder / "data/raw/raw/dream").mkdir(parents=True)
    (fresh_project.folder / "data/raw/raw/dream/dev.json").write_text("[]")
    params = fresh_project.params()
    params["data_pipelines"]["fetch"].update(root=str(root), licences=["open", "unstated"])
    fresh_project.write_params(params)
    rows = json.loads(fresh_project.call("data", "catalog", "--json").stdout)
    sources = {row["name"]: row for row in rows}
    assert sources["muffin/trec"]["state"] == "in the root, not fetched"
    assert sources["muffin/dream"]["state"] == "present"
    assert sources["muffin/qasc"]["state"] == "missing"
    assert sources["muffin/trec"]["allowed"]
    assert not sources["muffin/dream"]["allowed"]
    assert len(sources["niv2/tasks"]["hashes"]) == sources["niv2/tasks"]["known_files"] == 97
    assert sources["benchmarks/bbh"]["suite"] == "bbh"
    shown = fresh_project.call("data", "catalog").stdout
    assert "muffin/rotten_tomatoes" in shown
    assert "evaluation: mmlu" in shown


def test_evaluation_and_registry_tell_of_overlaps_with_the_mixture(finished_copy):
    overlap = finished_copy.folder / "data/mixture/contamination.json"
    task = json.loads((finished_copy.folder / "data/eval_data/index.json").read_text())[0]
    file = finished_copy.folder / "data/eval_data" / task["file"]
    item = json.loads(file.read_text().splitlines()[0])["id"]
    known = json.loads(overlap.read_text())
    known["sample"].update(contaminated=1, tasks={task["task"]: [item]})
    overlap.unlink()  # the copy shares its bytes with the cache
    overlap.write_text(json.dumps(known))
    assert finished_copy.call("evaluate", "moe_instruct").returncode == 0
    record = json.loads((finished_copy.folder / "runs/moe_instruct/evaluation.json").read_text())
    counted = {t["task"]: t["contaminated"] for t in record["tasks"]}
    assert counted.pop(f"sample/{task['task']}") == 1
    assert set(counted.values()) == {0}
    assert record["contaminated"] == record["suites"][0]["contaminated"] == 1
    assert record["contamination"] == {"sample": {"items": 120, "contaminated": 1}}


def test_a_run_on_a_dask_cluster_of_its_own(fresh_project):
    """Prefect's Dask task runner starts the cluster; every stage finds it."""
    params = fresh_project.params()
    params["data_pipelines"].update(engine="dask", workers=2)
    params["data_pipelines"]["mix"]["window"] = 300
    params["models"]["runs"] = {
        "moe_base": {**params["models"]["runs"]["moe_base"], "steps": 2},
    }
    fresh_project.write_params(params)
    done = fresh_project.call("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Dask: tcp://127.0.0.1:" in done.stdout
    lock = yaml.safe_load((fresh_project.folder / "dvc.lock").read_text())
    assert {"read", "clean", "mix", "validate", "pack"} <= set(lock["stages"])


def test_a_dask_cluster_that_does_not_start(fresh_project):
    done = fresh_project.call(
        "run", "--set", "data_pipelines.engine=dask", "--set", "flows.dask_cluster_class=no.such.Cluster",
        "--workspace", str(fresh_project.folder / "w"),
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "flows.dask_cluster_class 'no.such.Cluster' does not start" in line
