"""Each kind of bad input gives one line, an exit code, and nothing half-written."""

import json
import socket

import pytest

from models.errors import UnknownModel
from registry.store import Registry
from tests.factories import copy_of_checkout, error_line

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def unused_project(tmp_path_factory):
    """A project in which nothing has run, for commands that are rejected before they write."""
    return copy_of_checkout(tmp_path_factory.mktemp("unused") / "project")


def test_check_misspelt_parameter_suggests_the_name(fresh_project):
    params = fresh_project.params()
    params["models"]["training"]["optim"]["lrr"] = 1
    fresh_project.write_params(params)
    line = error_line(fresh_project.invoke("run"))
    assert "params.yaml: models.training.optim.lrr: unknown key; did you mean 'lr'?" in line
    assert not (fresh_project.folder / "data").exists()
    assert error_line(fresh_project.invoke("check")) == line


def test_check_unknown_preset_suggests_the_name(fresh_project):
    params = fresh_project.params()
    params["models"]["runs"]["moe_base"]["preset"] = "tiny_swich"
    params["models"]["runs"].pop("moe_instruct")
    fresh_project.write_params(params)
    assert "did you mean 'tiny_switch'" in error_line(fresh_project.invoke("check"))
    params["models"]["runs"]["moe_base"]["preset"] = "tiny_switch"
    fresh_project.write_params(params)
    assert "did you mean 'moe_base'" in error_line(fresh_project.invoke("train", "moe_bas"))
    show = fresh_project.invoke("registry", "show", "1", "--model", "x")
    assert "'x'" in error_line(show)


def test_check_params_not_yaml_is_rejected(fresh_project):
    (fresh_project.folder / "params.yaml").write_text("models: [1,")
    assert "params.yaml is not YAML" in error_line(fresh_project.invoke("check"))


def test_run_set_without_value_is_rejected(fresh_project):
    assert "path.to.key=value" in error_line(fresh_project.invoke("run", "--set", "flows"))
    misspelt = fresh_project.invoke("run", "--set", "flows.max_paralel_stages=1")
    assert "unknown key" in error_line(misspelt)


def test_run_renamed_key_names_the_present_key(unused_project):
    renamed = unused_project.invoke("run", "--set", "models.training.batch_rows=8")
    expected = (
        "models.training.batch_rows: unknown key; renamed to 'models.training.global_batch_size'"
    )
    assert expected in error_line(renamed)


@pytest.mark.process
def test_run_missing_source_stops_the_flow(fresh_project, prefect_server):
    root = fresh_project.folder / "files"
    root.mkdir()
    (root / "x.txt").write_text("no file of the catalog\n")
    done = fresh_project.invoke(
        "run",
        *("--set", f"data_pipelines.fetch.root={root}"),
        *("--set", "data_pipelines.fetch.sources=[cot/flan]"),
        *("--set", "data_pipelines.fetch.verify=false"),
        *("--set", "flows.retries=0"),
        *("--workspace", fresh_project.folder / "w"),
        PREFECT_API_URL=prefect_server.url,
    )
    assert "fetch: cot/flan: no file matches 'cot/flan_v2/*_train.tsv'" in error_line(done)
    assert not (fresh_project.folder / "w" / "data" / "raw").exists()


def test_read_truncated_source_keeps_the_records(finished_copy):
    path = finished_copy.folder / "data" / "raw" / "niv2" / "sample_count_words.json"
    path.write_text('{"Definition": ["x"], "Instances": [{"input": "a b')
    before = (finished_copy.folder / "data" / "records" / "report.json").read_bytes()
    line = error_line(finished_copy.invoke("read"))
    assert "sample_count_words.json is not JSON" in line
    assert "fetch it again" in line
    assert (finished_copy.folder / "data" / "records" / "report.json").read_bytes() == before


def test_train_corrupt_shard_keeps_the_weights(finished_copy):
    path = finished_copy.folder / "data" / "packed" / "train" / "00000.arrow"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    weights = finished_copy.folder / "runs/moe_instruct/seed_0/weights/model.safetensors"
    before = weights.read_bytes()
    line = error_line(finished_copy.invoke("train", "moe_instruct"))
    assert "00000.arrow does not match its checksum" in line
    assert weights.read_bytes() == before


def test_evaluate_truncated_weights_is_rejected_and_the_champion_answers(finished_copy):
    path = finished_copy.folder / "runs" / "moe_base" / "seed_0" / "weights" / "model.safetensors"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    for command in (("evaluate", "moe_base"), ("train", "moe_instruct")):
        assert "model.safetensors cannot be read" in error_line(finished_copy.invoke(*command))
    # The registry has its own copy.
    assert finished_copy.invoke("predict", "Repeat the input. tiger").returncode == 0


def test_predict_truncated_champion_is_rejected(finished_copy):
    versions = json.loads(finished_copy.invoke("registry", "list", "--json").stdout)
    champion = next(v for v in versions if "champion" in v["aliases"])
    store = Registry.open(finished_copy.folder).artifacts
    weights = store.file(champion["artifact"], "weights/model.safetensors")
    assert weights.is_relative_to(finished_copy.folder)
    size = weights.stat().st_size
    weights.chmod(0o640)
    for content in (b"cut", bytes(size)):
        weights.write_bytes(content)
        line = error_line(finished_copy.invoke("predict", "Repeat. tiger"))
        assert "weights/model.safetensors does not match its checksum" in line
        assert "restore it with `flanmoe registry register FOLDER`" in line


@pytest.mark.parametrize("words", [["registry", "list"], ["run"], ["predict", "x"], ["dashboard"]])
def test_registry_unreachable_database_hides_the_password(fresh_project, words):
    url = "postgresql://me:secret@127.0.0.1:9/registry"
    line = error_line(fresh_project.invoke(*words, FLANMOE_DATABASE_URL=url))
    assert "the registry at postgresql" in line
    assert "secret" not in line
    assert "unset FLANMOE_DATABASE_URL" in line


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://me:secret@host:port/registry", "a URL whose port is not a number"),
        ("mysql://me:secret@host/registry", "a mysql database, which is not supported"),
        ("sqlite:////no/such/folder/registry.db", "/no/such/folder/registry.db does not exist"),
    ],
)
@pytest.mark.parametrize("words", [["registry", "list"], ["predict", "x"], ["dashboard"]])
def test_registry_mistyped_url_is_rejected_and_nothing_is_created(
    unused_project, words, url, problem
):
    line = error_line(unused_project.invoke(*words, FLANMOE_DATABASE_URL=url))
    assert problem in line
    assert "secret" not in line
    assert not (unused_project.folder / ".flanmoe").exists()


def test_run_with_a_database_in_a_missing_folder_is_rejected(fresh_project):
    url = "sqlite:////no/such/folder/registry.db"
    line = error_line(fresh_project.invoke("run", FLANMOE_DATABASE_URL=url))
    assert "the folder /no/such/folder does not exist; create it" in line


@pytest.mark.parametrize("words", [["list"], ["history"], ["frontier"], ["show", "1"]])
def test_registry_unknown_model_lists_the_registered_ones(finished, words):
    line = error_line(finished.project.invoke("registry", *words, "--model", "flan"))
    assert line == "error: unknown model 'flan'; registered: flan-sample"


def test_registry_list_before_the_first_run_creates_nothing(unused_project):
    done = unused_project.invoke("registry", "list")
    assert "no version is registered yet" in done.stdout
    assert not (unused_project.folder / ".flanmoe").exists()


def test_dashboard_port_in_use_names_the_option(unused_project):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        line = error_line(unused_project.invoke("dashboard", "--port", port))
    assert f"127.0.0.1:{port} cannot be used" in line
    assert "--port" in line


def test_run_unreachable_prefect_server_is_rejected(fresh_project):
    line = error_line(fresh_project.invoke("run", PREFECT_API_URL="http://127.0.0.1:9/api"))
    assert "no Prefect server answers there" in line


def test_predict_without_champion_is_rejected(fresh_project):
    assert "no champion" in error_line(fresh_project.invoke("predict", "hello"))


def test_run_outside_a_project_is_rejected(fresh_project, tmp_path):
    fresh_project.folder = tmp_path
    assert "not inside a flanmoe project" in error_line(fresh_project.invoke("run"))


def test_debug_option_raises_the_error_with_its_traceback(unused_project):
    with pytest.raises(UnknownModel, match="nobody"):
        unused_project.invoke("--debug", "train", "nobody")


@pytest.mark.process
def test_run_failed_expectation_stops_the_flow(finished_copy, prefect_server):
    params = finished_copy.params()
    params["data_pipelines"]["validate"]["max_input_characters"] = 10
    finished_copy.write_params(params)
    before = (finished_copy.folder / "data" / "packed" / "summary.json").read_bytes()
    done = finished_copy.invoke("run", PREFECT_API_URL=prefect_server.url)
    line = error_line(done)
    assert "validate: " in line
    assert "inputs_characters" in line
    assert (finished_copy.folder / "data" / "validation" / "report.html").is_file()
    assert (finished_copy.folder / "data" / "packed" / "summary.json").read_bytes() == before
    assert "train@moe_base-0         started" not in done.stdout


@pytest.mark.process
def test_run_dask_cluster_that_does_not_start_is_rejected(fresh_project, prefect_server):
    done = fresh_project.invoke(
        "run",
        *("--set", "data_pipelines.engine=dask"),
        *("--set", "flows.dask_cluster_class=no.such.Cluster"),
        *("--workspace", fresh_project.folder / "w"),
        PREFECT_API_URL=prefect_server.url,
    )
    line = error_line(done)
    assert "flows.dask_cluster_class" in line
    assert "no.such.Cluster" in line
