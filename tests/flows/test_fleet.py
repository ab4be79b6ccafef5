"""Training in several processes and on several machines: what dies, hangs or is cut off."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.errors import StageFailed
from flows.fleet import kubernetes, slurm, torchrun
from flows.fleet.params import FleetParams
from models.training.params import ParallelParams, TrainingParams
from tests.conftest import answers, environment_of_a_user, free_port, last_step, wait_for

RUN = "moe_instruct"
STOPPED = 75


def training(project, steps, *, fleet=None, **changes):
    params = project.params()
    params["models"]["runs"][RUN]["steps"] = steps
    params["models"]["training"].update(changes)
    params["flows"] = {"fleet": fleet or {}}
    project.write_params(params)
    for old in ("weights", "live"):
        subprocess.run(["rm", "-rf", str(project.folder / "runs" / RUN / old)], check=True)
    (project.folder / "runs" / RUN / "run.json").unlink(missing_ok=True)
    return project.folder / ".flanmoe" / "checkpoints" / RUN


def workers(folder):
    """The training processes that work below the folder, by rank."""
    found = {}
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if str(folder) in process.cwd() and "TORCHELASTIC_RUN_ID" in environment:
                found[int(environment["RANK"])] = process
        except psutil.Error:
            continue
    return found


def started(project, checkpoints, *words):
    """The command, by default `train`, at the moment when a checkpoint is there to go back to."""
    running = project.start(*words or ("train", RUN))
    assert wait_for(lambda: last_step(checkpoints) >= 5, 180)
    return running


def record(project):
    return json.loads((project.folder / "runs" / RUN / "run.json").read_text())


def test_a_process_that_dies_is_started_again_with_the_others(finished_copy):
    parallel = {"timeout_s": 60, "restarts": 1}
    checkpoints = training(finished_copy, 60, processes=2, parallel=parallel)
    running = started(finished_copy, checkpoints)
    before = last_step(checkpoints)
    workers(finished_copy.folder)[1].send_signal(signal.SIGKILL)
    output, _ = running.communicate(timeout=180)
    assert running.returncode == 0, output
    assert record(finished_copy)["resumed_from"] >= before
    assert record(finished_copy)["processes"] == 2
    assert not checkpoints.exists()


def test_a_process_that_hangs_is_named(finished_copy):
    parallel = {"timeout_s": 6, "restarts": 0}
    checkpoints = training(finished_copy, 400, processes=2, parallel=parallel)
    running = started(finished_copy, checkpoints)
    hanging = workers(finished_copy.folder)[1]
    hanging.send_signal(signal.SIGSTOP)
    output = next(line for line in running.stdout if "waited in vain" in line)
    hanging.send_signal(signal.SIGCONT)  # or torchrun waits 30 s until it ends it by force
    output += running.stdout.read()
    assert running.wait(180) == 1
    told = r"error: process 0 waited in vain at step \d+ for process 1 \(last seen at step \d+, "
    assert re.search(told, output), output
    assert "its processes ended with 1" in output
    assert last_step(checkpoints) >= 5  # nothing is lost


def test_pre_emption_saves_and_says_resume(finished_copy):
    # One process alone is stopped in the test of the flow.
    checkpoints = training(finished_copy, 60, processes=2)
    running = started(finished_copy, checkpoints)
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=120)
    assert running.returncode == STOPPED, output
    assert "start it again to go on" in output
    step = last_step(checkpoints)
    assert not list(checkpoints.glob("*.partial"))
    again = finished_copy.start("train", RUN)
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    assert record(finished_copy)["resumed_from"] == step


def test_the_flow_starts_a_pre_empted_stage_again(finished_copy):
    checkpoints = training(finished_copy, 60)
    running = started(finished_copy, checkpoints, "run")
    for process in psutil.process_iter():
        try:
            if process.cmdline()[-2:] == ["train", RUN] and str(finished_copy.folder) in (
                process.cwd()
            ):
                process.send_signal(signal.SIGTERM)
        except (psutil.Error, IndexError):
            continue
    output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output
    assert "saved, goes on" in output
    assert record(finished_copy)["resumed_from"] > 0


def test_a_full_disk_is_told_and_the_last_checkpoint_stays(finished_copy):
    """A file that cannot grow further: what a full disk or a quota does to a write."""
    checkpoints = training(finished_copy, 60)
    code = (
        "import resource, signal, sys; from flows.cli import main;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "import models.training.trainer as t; one = t.Trainer._one\n"
        "def full(self, step):\n"
        "    if step == 12: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "    one(self, step)\n"
        f"t.Trainer._one = full; sys.argv = ['flanmoe', 'train', '{RUN}']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=finished_copy.folder, capture_output=True, text=True,
        env=environment_of_a_user(PYTHONPATH=str(finished_copy.folder)), timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert re.search(
        r"error: .*step-00000015 could not be written: .*earlier checkpoints are as they were",
        done.stderr,
    ), done.stderr
    assert last_step(checkpoints) == 10
    assert finished_copy.call("train", RUN).returncode == 0
    assert record(finished_copy)["resumed_from"] == 10


NAMESPACES = ("flanmoe0", "flanmoe1")


@pytest.fixture
def network():
    """Two network namespaces with a cable between them: 10.77.0.1 and 10.77.0.2."""
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
            made = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
        yield
    finally:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def machine(project, number, *words):
    return subprocess.Popen(
        ["ip", "netns", "exec", NAMESPACES[number], sys.executable, "-m", "flows", *words],
        cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment_of_a_user(GLOO_SOCKET_IFNAME=f"fm{number}"), start_new_session=True,
    )  # fmt: skip


def test_a_machine_that_is_cut_off_comes_back(finished_copy, network):
    """Two agents, each with a network of its own; the cable is pulled out midway."""
    fleet = {"launcher": "rendezvous", "nodes": 2, "endpoint": "10.77.0.1:29511"}
    parallel = {"timeout_s": 6, "restarts": 5, "experts": 2}
    checkpoints = training(finished_copy, 80, fleet=fleet, parallel=parallel)
    first = machine(finished_copy, 0, "train", RUN)
    second = machine(
        finished_copy, 1, "fleet", "join", RUN, "--number", "1", "--address", "10.77.0.2"
    )
    try:
        assert wait_for(lambda: last_step(checkpoints) >= 5, 150)
        before = last_step(checkpoints)
        cable = ["ip", "-n", "flanmoe1", "link", "set", "fm1"]
        subprocess.run([*cable, "down"], check=True)
        time.sleep(10)
        subprocess.run([*cable, "up"], check=True)
        output, _ = first.communicate(timeout=300)
        assert first.returncode == 0, output
        other, _ = second.communicate(timeout=60)
        assert second.returncode == 0, other
    finally:
        for agent in (first, second):
            if agent.poll() is None:
                os.killpg(agent.pid, signal.SIGKILL)
    assert record(finished_copy)["resumed_from"] >= before
    assert record(finished_copy)["processes"] == 2


def kubernetes_model(kind, manifest):
    """The manifest read by Kubernetes' own client, and written again: nothing is lost."""
    from kubernetes import client

    class Response:
        data = json.dumps(manifest)

    read = client.ApiClient()._ApiClient__deserialize(json.loads(Response.data), kind)
    written = client.ApiClient().sanitize_for_serialization(read)
    assert written == manifest
    return read


def filled(value, variables):
    """As Prefect's worker fills in a template."""
    if isinstance(value, dict):
        return {key: filled(inner, variables) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, variables) for inner in value]
    if isinstance(value, str) and (whole := re.fullmatch(r"{{ (\w+) }}", value)):
        return variables[whole[1]]
    if isinstance(value, str):
        return re.sub(r"{{ (\w+) }}", lambda found: str(variables[found[1]]), value)
    return value


def test_manifests_are_what_kubernetes_knows():
    fleet = FleetParams(
        launcher="work_pool", nodes=4, endpoint="flanmoe-first:29400", work_pool="gpus", gpus=8,
        cpus=64, memory_gb=900, claim="flan", image="registry/flanmoe:1", namespace="research",
    )  # fmt: skip
    template = kubernetes.base_job_template(fleet)
    known = {name: v.get("default") for name, v in template["variables"]["properties"].items()}
    variables = known | {
        "command": ["prefect", "flow-run", "execute"],
        "env": [{"name": "PREFECT_API_URL", "value": "http://prefect/api"}],
        "labels": {kubernetes.LABEL: "0"},
    }
    used = set(re.findall(r"{{ (\w+) }}", json.dumps(template["job_configuration"])))
    assert used <= set(known)
    job = kubernetes_model(
        "V1Job", filled(template["job_configuration"]["job_manifest"], variables)
    )
    (container,) = job.spec.template.spec.containers
    assert container.image == "registry/flanmoe:1"
    assert container.resources.limits == {"cpu": "64", "memory": "900Gi", "nvidia.com/gpu": "8"}
    assert job.spec.template.spec.volumes[1].persistent_volume_claim.claim_name == "flan"
    service = kubernetes_model("V1Service", kubernetes.service(fleet))
    assert service.metadata.name == "flanmoe-first"
    # It leads to machine 0 only.
    assert service.spec.selector.items() <= job.spec.template.metadata.labels.items()
    assert service.spec.cluster_ip == "None"


def test_a_slurm_job_is_the_same_run(finished_copy, tmp_path):
    """The script as bash reads it, with Slurm's commands played: two machines, one after another
    started by srun, as Slurm does."""
    fleet = {"launcher": "slurm", "nodes": 2, "gpus": 0, "cpus": 2, "hours": 1.5}
    checkpoints = training(finished_copy, 12, fleet=fleet)
    venv = finished_copy.folder / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "flanmoe").write_text(f'#!/bin/sh\nexec {sys.executable} -m flows "$@"\n')
    played = tmp_path / "slurm"
    played.mkdir()
    scripts = {
        "sbatch": 'echo "$@" > called; SLURM_JOB_NODELIST=x SLURM_JOB_ID=7 exec bash "$2"',
        "scontrol": "echo 127.0.0.1; echo other",
        "srun": 'shift; SLURM_NODEID=1 "$@" & SLURM_NODEID=0 "$@"; code=$?; wait; exit $code',
    }
    for name, text in scripts.items():
        (played / name).write_text(f"#!/bin/bash\n{text}\n")
    for path in [*played.iterdir(), venv / "flanmoe"]:
        path.chmod(0o755)
    path = os.pathsep.join([str(played), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = finished_copy.call("train", RUN, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (finished_copy.folder / "called").read_text().startswith("--wait")
    assert record(finished_copy)["processes"] == 2
    assert not checkpoints.exists()


def test_a_slurm_script_asks_for_what_params_say(tmp_path):
    fleet = FleetParams(
        launcher="slurm", nodes=8, gpus=8, cpus=96, memory_gb=1000, partition="h100", hours=36.25
    )
    script = slurm.render(RUN, TrainingParams(), fleet, tmp_path)
    options = dict(re.findall(r"#SBATCH --([\w-]+)=(\S+)", script))
    assert options["nodes"] == "8"
    assert options["gpus-per-node"] == "8"
    assert options["time"] == "36:15:00"
    assert options["partition"] == "h100"
    assert options["signal"] == "TERM@120"
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr


def test_torchrun_is_told_where_the_others_are():
    fleet = FleetParams(launcher="rendezvous", nodes=3, endpoint="first:29400")
    words = torchrun.command(
        RUN, TrainingParams(processes=8, global_batch_size=24), fleet, number=2
    )
    line = " ".join(words)
    assert "--nnodes 3 --node-rank 2" in line
    assert "--nproc-per-node 8" in line
    assert "--rdzv-endpoint first:29400" in line
    assert "is_host=0" in line
    local = torchrun.command(RUN, TrainingParams(), FleetParams(), number=0)
    assert "--standalone" in local


def test_agents_are_not_started_again_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(torchrun, "RETRY_SECONDS", 0.0)
    params = TrainingParams(parallel=ParallelParams(max_restarts=2))
    words = [sys.executable, "-c", "open('tries', 'a').write('x'); raise SystemExit(3)"]
    with pytest.raises(StageFailed, match="ended with 3"):
        torchrun.keep_running(words, RUN, params, tmp_path)
    assert (tmp_path / "tries").read_text() == "xxx"


def test_a_work_pool_starts_the_agents(finished_copy, tmp_path):
    """A real server, a pool of processes and its worker: two machines of one run."""
    port, rendezvous = free_port(), free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = environment_of_a_user(
        PREFECT_API_URL=api, PREFECT_HOME=str(tmp_path / "prefect"),
        PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1",
        PREFECT_WORKER_QUERY_SECONDS="1",
        PYTHONPATH=str(finished_copy.folder),
    )  # fmt: skip
    fleet = {
        "launcher": "work_pool", "nodes": 2, "endpoint": f"127.0.0.1:{rendezvous}",
        "work_pool": "machines", "folder": str(finished_copy.folder),
    }  # fmt: skip
    training(finished_copy, 12, fleet=fleet)
    prefect = [sys.executable, "-m", "prefect"]
    services = []

    def start(*words):
        with (tmp_path / f"{words[0]}.log").open("w") as log:
            services.append(subprocess.Popen(
                [*prefect, *words], env=environment, cwd=finished_copy.folder, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            ))  # fmt: skip

    try:
        start("server", "start", "--port", str(port))
        assert wait_for(lambda: answers(f"{api}/health"), 60)
        missing = finished_copy.call("train", RUN, **environment)
        assert missing.returncode == 1
        assert "there is no work pool 'machines': create it first" in missing.stderr
        subprocess.run(
            [*prefect, "work-pool", "create", "machines", "--type", "process"],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        start("worker", "start", "--pool", "machines")
        done = finished_copy.call("train", RUN, timeout=240, **environment)
        log = (tmp_path / "worker.log").read_text()[-3000:]
        assert done.returncode == 0, done.stdout + done.stderr + log
    finally:
        for process in services:
            process.terminate()
        for process in services:
            if not wait_for(lambda ended=process: ended.poll() is not None, 30):
                os.killpg(process.pid, signal.SIGKILL)
    assert record(finished_copy)["processes"] == 2
