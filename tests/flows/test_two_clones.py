"""Two clones of a team: one Prefect server, one DVC remote, one PostgreSQL registry, at once."""

import json

import pytest

from benchmarks.drill_services import create_database
from tests.flows.test_remotes import clone_after_push, dvc

pytestmark = [pytest.mark.process, pytest.mark.e2e]


def test_two_clones_run_at_once_and_share_what_they_registered(
    finished_copy, prefect_server, postgres, tmp_path
):
    params = finished_copy.params()
    params["registry"]["artifacts"] = str(tmp_path / "artifacts")
    finished_copy.write_params(params)
    clone = clone_after_push(finished_copy, tmp_path / "clone", str(tmp_path / "remote"))
    dvc(finished_copy, "pull", "-q")  # its cache was removed
    services = {
        "PREFECT_API_URL": prefect_server.url,
        "FLANMOE_DATABASE_URL": create_database(postgres, "two_clones"),
    }
    runs = [project.start("run", **services) for project in (finished_copy, clone)]
    for running in runs:
        output = running.communicate(timeout=300)[0]
        assert running.returncode == 0, output
        assert "0 changed" in output

    def versions(project):
        return json.loads(project.invoke("registry", "list", "--json", **services).stdout)

    # The same runs are registered once, whichever clone was the first.
    assert sorted(version["name"] for version in versions(clone)) == ["moe_base", "moe_instruct"]
    assert versions(finished_copy) == versions(clone)
    promoted = clone.invoke("registry", "promote", 2, "--override", "for the team", **services)
    assert promoted.returncode == 0, promoted.stdout + promoted.stderr
    (champion,) = [v for v in versions(finished_copy) if "champion" in v["aliases"]]
    assert champion["version"] == 2
    assert finished_copy.invoke("registry", "verify", **services).returncode == 0
