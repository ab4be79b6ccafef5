"""Each kind of bad input: one clear line, an exit code, and nothing half-written."""

import json
import socket

import pytest


def told(done):
    """The one line of an expected failure."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stdout + done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_typo_in_a_parameter(fresh_project):
    params = fresh_project.params()
    params["models"]["training"]["optim"]["lrr"] = 1
    fresh_project.write_params(params)
    line = told(fresh_project.call("run"))
    assert "params.yaml: models.training.optim.lrr: unknown key; did you mean 'lr'?" in line
    assert not (fresh_project.folder / "data").exists()
    assert told(fresh_project.call("check")) == line


def test_an_unknown_model_name(fresh_project):
    params = fresh_project.params()
    params["models"]["runs"]["moe_base"]["preset"] = "tiny_swich"
    params["models"]["runs"].pop("moe_instruct")
    fresh_project.write_params(params)
    assert "did you mean 'tiny_switch'" in told(fresh_project.call("check"))
    params["models"]["runs"]["moe_base"]["preset"] = "tiny_switch"
    fresh_project.write_params(params)
    assert "did you mean 'moe_base'" in told(fresh_project.call("train", "moe_bas"))
    assert "no model is called 'x'" in told(
        fresh_project.call("registry", "show", "1", "--model", "x")
    )


def test_params_that_are_no_yaml(fresh_project):
    (fresh_project.folder / "params.yaml").write_text("models: [1,")
    assert "params.yaml is not YAML" in told(fresh_project.call("check"))


def test_set_without_a_value(fresh_project):
    assert "write it as path.to.key=value" in told(fresh_project.call("run", "--set", "flows"))
    assert "unknown key" in told(fresh_project.call("run", "--set", "flows.paralell=1"))


def test_a_missing_source_stops_the_flow(fresh_project):
    root = fresh_project.folder / "files"
    root.mkdir()
    (root / "x.txt").write_text("nothing that is asked for\n")
    done = fresh_project.call(
        "run",
        "--set",
        f"data_pipelines.fetch.root={root}",
        "--set",
        "data_pipelines.fetch.sources=[cot/flan]",
        "--set",
        "data_pipelines.fetch.verify=false",
        "--set",
        "flows.retries=0",
        "--workspace",
        str(fresh_project.folder / "w"),
    )
    assert "fetch: cot/flan: no file matches 'cot/flan_v2/*_train.tsv'" in told(done)
    assert not (fresh_project.folder / "w" / "data" / "raw").exists()


def test_a_truncated_source(finished_copy):
    path = finished_copy.folder / "data" / "raw" / "niv2" / "sample_copy_list.json"
    path.write_text('{"Definition": ["x"], "Instances": [{"input": "a b')
    before = (finished_copy.folder / "data" / "records" / "report.json").read_bytes()
    line = told(finished_copy.call("read"))
    assert "sample_copy_list.json is not JSON" in line
    assert "fetch it again" in line
    assert (finished_copy.folder / "data" / "records" / "report.json").read_bytes() == before


def test_a_corrupt_shard(finished_copy):
    path = finished_copy.folder / "data" / "packed" / "train" / "00000.arrow"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    weights = finished_copy.folder / "runs" / "moe_instruct" / "weights" / "model.safetensors"
    before = weights.read_bytes()
    line = told(finished_copy.call("train", "moe_instruct"))
    assert "00000.arrow does not match its checksum" in line
    assert weights.read_bytes() == before


def test_a_checkpoint_cut_in_half(finished_copy):
    path = finished_copy.folder / "runs" / "moe_base" / "weights" / "model.safetensors"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    assert "model.safetensors cannot be read" in told(finished_copy.call("evaluate", "moe_base"))
    assert "model.safetensors cannot be read" in told(finished_copy.call("train", "moe_instruct"))
    # The registry kept its own copy: the champion still answers.
    assert finished_copy.call("predict", "Repeat the input. tiger").returncode == 0


def test_a_registered_champion_whose_weights_were_cut(finished_copy):
    versions = json.loads(finished_copy.call("registry", "list", "--json").stdout)
    champion = next(v for v in versions if v["stage"] == "champion")
    # The copied registry still names the first project's folder; damage this project's copy.
    folder = finished_copy.folder / ".flanmoe" / "artifacts" / champion["artifact"].split("/")[-1]
    (folder / "weights" / "model.safetensors").write_bytes(b"cut")
    import sqlite3

    with sqlite3.connect(finished_copy.folder / ".flanmoe" / "registry.db") as connection:
        connection.execute(
            "update versions set artifact = ? where number = ?",
            (str(folder), champion["version"]),
        )
    assert "cannot be read" in told(finished_copy.call("predict", "Repeat the input. tiger"))


@pytest.mark.parametrize("words", [["registry", "list"], ["run"], ["predict", "x"], ["dashboard"]])
def test_a_database_that_cannot_be_reached(fresh_project, words):
    url = "postgresql://me:secret@127.0.0.1:9/registry"
    line = told(fresh_project.call(*words, FLANMOE_DATABASE_URL=url))
    assert "the registry at postgresql" in line
    assert "secret" not in line
    assert "unset FLANMOE_DATABASE_URL" in line


def test_a_port_in_use(fresh_project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = told(fresh_project.call("dashboard", "--port", port))
    assert f"127.0.0.1:{port} cannot be used" in line
    assert "--port" in line


def test_a_prefect_server_that_is_not_there(fresh_project):
    line = told(fresh_project.call("run", PREFECT_API_URL="http://127.0.0.1:9/api"))
    assert "no Prefect server answers there" in line


def test_no_champion_yet(fresh_project):
    assert "no champion" in told(fresh_project.call("predict", "hello"))


def test_outside_a_project(fresh_project, tmp_path):
    fresh_project.folder = tmp_path
    assert "not inside a flanmoe project" in told(fresh_project.call("run"))


def test_debug_shows_where(fresh_project):
    done = fresh_project.call("--debug", "train", "nobody")
    assert "Traceback" in done.stderr
    assert "UnknownModel" in done.stderr


def test_a_failed_expectation_stops_the_flow(fresh_project):
    params = fresh_project.params()
    params["data_pipelines"]["validate"]["min_examples"] = 10_000
    fresh_project.write_params(params)
    done = fresh_project.call("run")
    line = told(done)
    assert "validate: " in line
    assert "expect_column_values_to_be_between examples (min_value=" in line
    assert (fresh_project.folder / "data" / "validation" / "report.html").is_file()
    assert not (fresh_project.folder / "data" / "packed").exists()
    assert "train" not in done.stdout
