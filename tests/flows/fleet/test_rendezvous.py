"""Two machines, each with a network of its own, whose link breaks in the middle of a run."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.factories import last_checkpoint_step, user_environment, wait_for
from tests.flows.fleet.factories import RUN, configure_training, run_record

pytestmark = [pytest.mark.process, pytest.mark.multiprocess, pytest.mark.e2e]

NAMESPACES = ("flanmoe0", "flanmoe1")


@pytest.fixture
def network():
    """Connect two network namespaces, 10.77.0.1 and 10.77.0.2."""
    commands = [
        *(f"ip netns add {name}" for name in NAMESPACES),
        "ip link add fm0 netns flanmoe0 type veth peer name fm1 netns flanmoe1",
    ]
    for number, name in enumerate(NAMESPACES):
        commands += [
            f"ip -n {name} addr add 10.77.0.{number + 1}/24 dev fm{number}",
            f"ip -n {name} link set fm{number} up",
            f"ip -n {name} link set lo up",
        ]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"network namespaces are not available: {done.stderr.strip()}")
        yield
    finally:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def start_on_machine(project, number, *words):
    """Start `flanmoe WORDS` in the network namespace of a machine."""
    return subprocess.Popen(
        ["ip", "netns", "exec", NAMESPACES[number], sys.executable, "-m", "flows", *words],
        cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=user_environment(GLOO_SOCKET_IFNAME=f"fm{number}"), start_new_session=True,
    )  # fmt: skip


def test_rendezvous_broken_link_resumes_when_it_is_back(finished_copy, network):
    fleet = {"launcher": "rendezvous", "nodes": 2, "endpoint": "10.77.0.1:29511"}
    parallel = {"timeout_s": 5, "max_restarts": 5, "expert_parallel_size": 2}
    checkpoints = configure_training(finished_copy, 40, fleet=fleet, parallel=parallel)
    join = ("fleet", "join", RUN, "--node-rank", "1", "--address", "10.77.0.2")
    machines = [
        start_on_machine(finished_copy, 0, "train", RUN),
        start_on_machine(finished_copy, 1, *join),
    ]
    try:
        assert wait_for(lambda: last_checkpoint_step(checkpoints) >= 5, 150)
        step = last_checkpoint_step(checkpoints)
        link = ["ip", "-n", "flanmoe1", "link", "set", "fm1"]
        subprocess.run([*link, "down"], check=True)
        time.sleep(8)
        subprocess.run([*link, "up"], check=True)
        for machine in machines:
            output, _ = machine.communicate(timeout=300)
            assert machine.returncode == 0, output
    finally:
        for machine in machines:
            if machine.poll() is None:
                os.killpg(machine.pid, signal.SIGKILL)
    record = run_record(finished_copy)
    assert record["resumed_from_step"] >= step
    assert record["world_size"] == 2
