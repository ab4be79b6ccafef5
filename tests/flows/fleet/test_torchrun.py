"""The torchrun command of a node, and its restarts."""

import sys

import pytest

from flows.errors import StageFailed
from flows.fleet import torchrun
from flows.fleet.params import FleetParams
from models.replicate import Replicate
from models.training.params import ParallelParams, TrainingParams

RUN = Replicate("moe_instruct", 3)


def test_agent_command_names_the_rendezvous_and_the_processes():
    fleet = FleetParams(launcher="rendezvous", nodes=3, endpoint="first:29400")
    training = TrainingParams(processes_per_node=8, global_batch_size=24)
    line = " ".join(torchrun.agent_command(RUN, training, fleet, node_rank=2))
    assert "--nnodes 3 --node-rank 2" in line
    assert "--nproc-per-node 8" in line
    assert "--rdzv-endpoint first:29400 --rdzv-id moe_instruct-3" in line
    assert line.endswith("-m flows train moe_instruct --seed 3")
    assert "is_host=0" in line
    assert "--standalone" in torchrun.agent_command(
        RUN, TrainingParams(), FleetParams(), node_rank=0
    )


@pytest.mark.process
def test_run_agent_with_restarts_gives_up_after_max_restarts(tmp_path, monkeypatch):
    monkeypatch.setattr(torchrun, "RESTART_DELAY_S", 0.0)
    params = TrainingParams(parallel=ParallelParams(max_restarts=2))
    command = [sys.executable, "-c", "open('tries', 'a').write('x'); raise SystemExit(3)"]
    with pytest.raises(StageFailed, match="3"):
        torchrun.run_agent_with_restarts(command, RUN, params, tmp_path)
    assert (tmp_path / "tries").read_text() == "xxx"
