"""A project of the tests' own: a copy of this one with params small enough to run in a minute."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parent.parent


def free_port():
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds):
    """Whether the condition came true in that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def last_step(checkpoints):
    """Step of the last whole checkpoint in the folder; -1 without one."""
    found = sorted(checkpoints.glob("step-*/manifest.json"))
    return int(found[-1].parent.name.removeprefix("step-")) if found else -1


def answers(url):
    """Whether an HTTP server answers there."""
    try:
        urllib.request.urlopen(url, timeout=2)
    except OSError:
        return False
    return True


def environment_of_a_user(**extra):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FLANMOE_", "PREFECT_"))}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **extra}


@dataclass
class Project:
    """A project folder and how its commands are called."""

    folder: Path

    def start(self, *words, **environment):
        """The command in the background, its output in one pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *words],
            cwd=self.folder,
            env=environment_of_a_user(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *words, timeout=300, **environment):
        """`flanmoe WORDS`: the finished process, stdout and stderr apart."""
        return self._run([sys.executable, "-m", "flows", *words], timeout, environment)

    def dvc(self, *words, timeout=300):
        return self._run([sys.executable, "-m", "dvc", *words], timeout, {})

    def params(self):
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def write_params(self, params):
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def copy(self, target: Path):
        """A copy with its data, runs, cache and registry."""
        shutil.copytree(self.folder, target, symlinks=True)
        return Project(target)

    def _run(self, command, timeout, environment):
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment_of_a_user(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def small(params):
    """The project's own params, with less of everything and one architecture."""
    params["data_pipelines"]["fetch"]["sample"].update(
        examples_per_family=60, held_out_items=15, text_documents=400
    )
    params["data_pipelines"]["mix"]["num_examples"] = 1200
    params["data_pipelines"]["validate"]["min_examples"] = 10
    params["data_pipelines"]["tokenizer"]["vocab_size"] = 500
    params["models"]["runs"] = {
        "moe_base": {
            "preset": "tiny_switch",
            "start": "scratch",
            "data": "pretrain",
            "steps": 12,
            "tuned": False,
        },
        "moe_instruct": {"preset": "tiny_switch", "start": "moe_base", "steps": 20},
    }
    params["models"]["training"].update(global_batch_size=4, checkpoint={"save_every": 5})
    # So few steps need not beat chance: the gates are tested on their own.
    params["registry"]["gates"] = {"min_items": 50, "min_standard_errors_above_chance": -100.0}
    return params


def _copy_of_project(target: Path) -> Project:
    git = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if not (ROOT / name).is_file() or name == "dvc.lock":
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    project = Project(target)
    project.write_params(small(project.params()))
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "test"],
    ):
        subprocess.run(["git", "-C", str(target), *words], check=True)
    return project


@dataclass
class Finished:
    """A project after its main job, and what the job printed."""

    project: Project
    output: str


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """The main job, run once for all tests that only look at its results; by the first of several
    pytest processes that needs it."""
    temporary = tmp_path_factory.getbasetemp()
    folder = (temporary if worker_id == "master" else temporary.parent) / "finished"
    printed = folder / "printed"
    with FileLock(f"{folder}.lock"):
        if not printed.is_file():
            project = _copy_of_project(folder / "project")
            done = project.call("run")
            assert done.returncode == 0, done.stdout + done.stderr
            printed.write_text(done.stdout)
    return Finished(Project(folder / "project"), printed.read_text())


@pytest.fixture
def fresh_project(tmp_path, finished):
    """A project in which nothing has run; its Prefect database has its tables already."""
    project = _copy_of_project(tmp_path / "project")
    state = Path(".flanmoe") / "prefect"
    (project.folder / state).mkdir(parents=True)
    shutil.copyfile(
        finished.project.folder / state / "prefect.db", project.folder / state / "prefect.db"
    )
    return project


@pytest.fixture
def finished_copy(finished, tmp_path):
    """A copy of the finished project, to damage."""
    return finished.project.copy(tmp_path / "project")
