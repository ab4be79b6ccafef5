"""prefect.yaml: read as Prefect reads it, and every error in one line."""

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel

from flows.deployments.abandoned_runs import HEARTBEAT_TIMEOUT_S
from flows.deployments.deployment_resource import deployment_resources
from flows.deployments.prefect_yaml import read_prefect_file
from flows.errors import InvalidDeployment
from tests.factories import ROOT

FLOWS = {
    "flanmoe/on-demand", "data_refresh/nightly", "retrain_if_changed/weekly",
    "evaluate_all/on-demand", "promotion/with-approval", "janitor/hourly",
}  # fmt: skip


def write(folder, **changes):
    """Write a prefect.yaml with one deployment."""
    deployment = {
        "name": "n",
        "entrypoint": "flows/deployments/janitor.py:janitor",
        "work_pool": {"name": "local"},
        "parameters": {"workspace": "{{ $FLANMOE_PROJECT_DIR }}"},
        **changes,
    }
    (folder / "prefect.yaml").write_text(yaml.safe_dump({"deployments": [deployment]}))
    return folder


def test_project_file_is_valid_for_prefect_and_names_every_flow():
    data = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    model = PrefectYamlModel.model_validate(data)
    assert len(model.deployments) == len(FLOWS)
    resources = deployment_resources(read_prefect_file(ROOT), ROOT)
    assert {resource.name for resource in resources} == FLOWS
    assert {r.definition.parameters["workspace"] for r in resources} == {str(ROOT)}
    assert {tag for r in resources for tag in r.definition.tags} > {"flanmoe"}
    assert all("flanmoe" in resource.definition.tags for resource in resources)
    environments = [r.definition.work_pool.job_variables["env"] for r in resources]
    heartbeats = {int(each["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) for each in environments}
    assert 3 * max(heartbeats) <= HEARTBEAT_TIMEOUT_S
    crons = {s.slug: s.cron for r in resources for s in r.definition.schedules}
    assert crons == {"nightly": "0 2 * * *", "weekly": "0 4 * * 6", "hourly": "17 * * * *"}


def test_parameters_of_every_flow_have_a_schema_with_types_bounds_and_descriptions():
    resources = deployment_resources(read_prefect_file(ROOT), ROOT)
    schemas = {r.flow.name: r.flow.parameters.model_dump()["properties"] for r in resources}
    assert all(schema["workspace"]["format"] == "path" for schema in schemas.values())
    assert all(field.get("description") for schema in schemas.values() for field in schema.values())
    days = schemas["promotion"]["approval_days"]
    assert (days["default"], days["exclusiveMinimum"], days["maximum"]) == (7.0, 0, 365)
    assert schemas["janitor"]["keep_backups"]["minimum"] == 1


def test_project_variable_of_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", "/mounted")
    (definition,) = read_prefect_file(write(tmp_path)).deployments
    assert definition.parameters == {"workspace": "/mounted"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"work_pol": {}}, "deployments.0.work_pol: Extra inputs are not permitted"),
        ({"work_pool": None}, "deployments.0.work_pool"),
        ({"concurrency_limit": 0}, "concurrency_limit: Input should be greater than or equal"),
        ({"parameters": {"workspace": "{{ $NO_SUCH_NAME }}"}}, "variable NO_SUCH_NAME is not set"),
        ({"entrypoint": "flows/nothing.py:flow"}, r"'flows/nothing.py:flow' has no flow"),
        ({"entrypoint": "flows/deployments/janitor.py:other"}, "has no flow"),
        ({"parameters": {"workspace": "/p", "keep_backups": 0}}, "janitor/n: .*keep_backups"),
        ({"parameters": {"workspace": "/p", "wrong": 1}}, "janitor/n: .*wrong"),
    ],
)
def test_errors_are_lines_with_file_and_key(tmp_path, changes, message):
    write(tmp_path, **changes)
    (tmp_path / "flows").symlink_to(ROOT / "flows")
    with pytest.raises(InvalidDeployment, match=message) as failure:
        deployment_resources(read_prefect_file(tmp_path), tmp_path)
    assert "\n" not in str(failure.value)
    assert "prefect.yaml" in str(failure.value)


def test_missing_or_malformed_file_is_an_error(tmp_path):
    with pytest.raises(InvalidDeployment, match="is missing"):
        read_prefect_file(tmp_path)
    (tmp_path / "prefect.yaml").write_text("deployments: [")
    with pytest.raises(InvalidDeployment, match="is not YAML"):
        read_prefect_file(tmp_path)


def test_two_deployments_of_equal_name_are_an_error(tmp_path):
    data = yaml.safe_load((write(tmp_path) / "prefect.yaml").read_text())
    data["deployments"] *= 2
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(data))
    (tmp_path / "flows").symlink_to(ROOT / "flows")
    with pytest.raises(InvalidDeployment, match="janitor/n is defined twice"):
        deployment_resources(read_prefect_file(tmp_path), tmp_path)
