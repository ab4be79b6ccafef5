"""The launcher of a run, and the errors of nodes that cannot join."""

from types import SimpleNamespace

import pytest

from flows.errors import ServerError, StageFailed
from flows.fleet import launch, slurm, torchrun, work_pool
from flows.fleet.launch import join_run, launch_run
from flows.fleet.params import FleetParams
from models.evaluation.params import EvaluationParams
from models.params import ModelsParams
from models.replicate import Replicate
from models.stages import train
from models.training.params import RunParams, TrainingParams

RUN = Replicate("moe_instruct", 3)


def params(fleet=None, processes=1):
    """Return params with a single run."""
    return SimpleNamespace(
        flows=SimpleNamespace(fleet=fleet or FleetParams()),
        models=ModelsParams(
            seeds=(0, 3),
            runs={RUN.run: RunParams(preset="tiny_switch", start="scratch", steps=4)},
            training=TrainingParams(processes_per_node=processes, global_batch_size=8),
            evaluation=EvaluationParams(),
        ),
    )


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Replace every way to train by one that records its call and writes the run record."""
    names = []

    def record(name):
        def launcher(*_arguments, **_options):
            names.append(name)
            record_file = tmp_path / RUN.folder / "run.json"
            record_file.parent.mkdir(parents=True, exist_ok=True)
            record_file.touch()

        return launcher

    monkeypatch.setattr(train, "run", record("in this process"))
    monkeypatch.setattr(torchrun, "run_agent", record("torchrun"))
    monkeypatch.setattr(torchrun, "run_agent_with_restarts", record("rendezvous"))
    monkeypatch.setattr(work_pool, "run_on_pool", record("work_pool"))
    monkeypatch.setattr(slurm, "run_job", record("slurm"))
    return names


@pytest.mark.parametrize(
    ("fields", "processes", "expected"),
    [
        ({}, 1, "in this process"),
        ({}, 2, "torchrun"),
        ({"launcher": "rendezvous", "nodes": 2, "endpoint": "a:1"}, 1, "rendezvous"),
        ({"launcher": "work_pool", "endpoint": "a:1", "work_pool": "p"}, 1, "work_pool"),
        ({"launcher": "slurm", "nodes": 2}, 1, "slurm"),
    ],
)
def test_launch_run_uses_the_launcher_of_the_fleet(calls, tmp_path, fields, processes, expected):
    launch_run(RUN, params(FleetParams(**fields), processes), tmp_path)
    assert calls == [expected]


def test_launch_run_in_a_torchrun_worker_trains_in_this_process(calls, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", RUN.label)
    launch_run(RUN, params(processes=2), tmp_path)
    assert calls == ["in this process"]


def test_launch_run_without_a_run_record_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "run_job", lambda *_: None)
    with pytest.raises(StageFailed, match=r"run\.json is missing; all nodes"):
        launch_run(RUN, params(FleetParams(launcher="slurm")), tmp_path)


@pytest.mark.parametrize(
    ("fields", "node_rank", "message"),
    [
        ({}, 0, "local is a single node"),
        ({"launcher": "rendezvous", "nodes": 2, "endpoint": "a:1"}, 2, "between 0 and 1"),
        ({"launcher": "rendezvous", "nodes": 2, "endpoint": "a:1"}, -1, "between 0 and 1"),
    ],
)
def test_join_run_of_a_node_outside_the_fleet_is_rejected(tmp_path, fields, node_rank, message):
    with pytest.raises(StageFailed, match=message):
        join_run(RUN, params(FleetParams(**fields)), tmp_path, node_rank=node_rank)


def test_join_run_node_0_advertises_the_host_of_the_endpoint(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(
        launch.torchrun, "run_agent_with_restarts", lambda command, *_: commands.append(command)
    )
    fleet = FleetParams(launcher="rendezvous", nodes=2, endpoint="a:1")
    join_run(RUN, params(fleet), tmp_path, node_rank=0)
    join_run(RUN, params(fleet), tmp_path, node_rank=1, endpoint="b:2", address="10.0.0.2")
    lines = [" ".join(command) for command in commands]
    assert "--local-addr a " in lines[0]
    assert lines[0].endswith("-m flows train moe_instruct --seed 3")
    assert "--rdzv-endpoint b:2" in lines[1]
    assert "--local-addr 10.0.0.2 " in lines[1]


def test_run_job_without_sbatch_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    fleet = FleetParams(launcher="slurm")
    with pytest.raises(StageFailed, match="sbatch is missing on this machine"):
        slurm.run_job(RUN, TrainingParams(), fleet, tmp_path)


def test_run_on_pool_without_server_or_outside_the_project_is_an_error(tmp_path, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    fleet = FleetParams(launcher="work_pool", endpoint="a:1", work_pool="p")
    with pytest.raises(ServerError, match="PREFECT_API_URL is not set"):
        work_pool.run_on_pool(RUN, fleet, tmp_path)
    project, workspace = tmp_path / "project", tmp_path / "workspace"
    project.mkdir()
    (project / "dvc.yaml").touch()
    (workspace / ".flanmoe").mkdir(parents=True)
    (workspace / ".flanmoe" / "home").write_text(f"{project}\n")
    with pytest.raises(StageFailed, match=f"is outside {project}"):
        work_pool.run_on_pool(RUN, fleet, workspace)
