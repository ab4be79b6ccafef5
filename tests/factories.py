"""A small project of the tests' own, and the ways to call its commands."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import chdir, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import yaml

ROOT = Path(__file__).parent.parent
AWKWARD_FOLDERS = ["job%2Fmain", "a?b", "c#d", "e f", "ü", "g[h]i", "k*l", "m$n", "o=p", "q'r"]
"""Names of folders with characters that URLs, globs, SQL or configuration files interpret."""
PREFECT_DATABASE = Path(".flanmoe") / "prefect" / "prefect.db"


def shared_folder(tmp_path_factory, worker_id, name):
    """Return a folder that is the same for all pytest processes."""
    temporary = tmp_path_factory.getbasetemp()
    return (temporary if worker_id == "master" else temporary.parent) / name


def wait_for(condition, timeout_s, *, interval_s=0.1):
    """Return whether the condition became true within the time.

    Args:
        condition: a function without arguments.
        timeout_s: seconds to wait at most.
        interval_s: seconds between two looks; a request to Prefect takes 30 ms of CPU.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(interval_s)
    return False


def last_checkpoint_step(checkpoints):
    """Return the step of the last complete checkpoint in the folder; -1 without one."""
    manifests = sorted(checkpoints.glob("step-*[0-9]/manifest.json"))
    return int(manifests[-1].parent.name.removeprefix("step-")) if manifests else -1


def is_http_up(url):
    """Return whether an HTTP server of this machine answers at the address."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2)
    except OSError:
        return False
    return True


def copy_database(source, target):
    """Copy an SQLite database that may be in use."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


PERSON = "tester"
"""Account name of the user who calls commands; the policy of test projects lists it."""


def user_environment(**extra):
    """Return the environment of a user: none of flanmoe's or Prefect's variables is set."""
    prefixes = ("FLANMOE_", "PREFECT_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    return {**environment, "PATH": path, "LOGNAME": PERSON, **extra}


PLANTED_SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-5f0c2a7e-key",
    "PREFECT_API_AUTH_STRING": "operator:planted-91be44d0-password",
    "HF_TOKEN": "planted-c8d1f3a2-token",
}
"""Secrets in the environment of the main job, which must appear in none of its files."""


@dataclass(frozen=True)
class CommandResult:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


@contextmanager
def prefect_api_of(environment):
    """Let Prefect in this process, which has read its settings, use the API of an environment."""
    if "PREFECT_API_URL" not in environment:
        yield
        return
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"]}):
        yield


def invoke(*words, cwd, stdin=b"", **environment):
    """Run `flanmoe WORDS` in this process, as the entry point does; `stdin` is its bytes."""
    from flows.cli import main

    stdout, stderr = io.StringIO(), io.StringIO()
    code = 0
    with (
        chdir(cwd),
        patch.dict(os.environ, user_environment(**environment), clear=True),
        patch.object(sys, "argv", ["flanmoe", *map(str, words)]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        prefect_api_of(environment),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    return CommandResult(code, stdout.getvalue(), stderr.getvalue())


def error_line(result):
    """Return the one error line of a command that failed as expected."""
    assert result.returncode == 1, result.stdout + result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in result.stdout + result.stderr
    assert len(lines) == 1, result.stderr
    return lines[0]


@dataclass
class Project:
    """A project folder and how its commands are called."""

    folder: Path

    def invoke(self, *words, **environment):
        """Run `flanmoe WORDS` in this process; a Prefect flow needs PREFECT_API_URL."""
        return invoke(*words, cwd=self.folder, **environment)

    def start(self, *words, **environment):
        """Start `flanmoe WORDS` in the background, its output in one pipe."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *map(str, words)],
            cwd=self.folder,
            env=user_environment(**environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *words, timeout_s=300, **environment):
        """Run `flanmoe WORDS` in a process of its own; stdout and stderr are apart."""
        return self._run([sys.executable, "-m", "flows", *map(str, words)], timeout_s, environment)

    def dvc(self, *words, timeout_s=300, **environment):
        """Run `dvc WORDS` in the project."""
        return self._run([sys.executable, "-m", "dvc", *words], timeout_s, environment)

    def params(self):
        """Return params.yaml as plain data."""
        return yaml.safe_load((self.folder / "params.yaml").read_text())

    def write_params(self, params):
        """Replace params.yaml."""
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def copy(self, target):
        """Copy the project with its data, runs and registry; the DVC cache is hard-linked."""
        shutil.copytree(self.folder, target, symlinks=True, copy_function=_copy_or_link)
        return Project(target)

    def _run(self, command, timeout_s, environment):
        return subprocess.run(
            command,
            cwd=self.folder,
            env=user_environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def _copy_or_link(source, target):
    """Link what DVC's cache holds, which is never changed in place; copy everything else."""
    if "/.dvc/cache/" in str(source):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def shrink(params):
    """Reduce the project's own params to one architecture and less of everything."""
    params["data_pipelines"]["fetch"]["sample"].update(
        examples_per_family=60,
        held_out_items=15,
        text_documents=400,
        facts_bits_per_parameter=0.05,
    )
    params["data_pipelines"]["mix"]["num_examples"] = 1200
    params["data_pipelines"]["validate"]["min_examples"] = 10
    params["data_pipelines"]["tokenizer"]["vocab_size"] = 500
    params["models"]["seeds"] = [0]
    params["models"]["runs"] = {
        "moe_base": {
            "preset": "tiny_switch",
            "start": "scratch",
            "data": "prefix_lm",
            "steps": 12,
            "tuned": False,
        },
        "moe_instruct": {"preset": "tiny_switch", "start": "moe_base", "steps": 20},
    }
    params["models"]["evaluation"]["suites"] = ["sample"]
    params["models"]["training"].update(global_batch_size=4, checkpoint={"save_every": 5})
    return params


RESULTS = ("dvc.lock", "data/", "runs/")
"""What runs write into the checkout; runs/scratch is part of the code."""
UNUSED = ("tests/", "docs/", "benchmarks/")
"""What no command reads."""


def copy_of_checkout(target, change_params=shrink):
    """Copy the code that git lists to a new repository, without results, tests and pages.

    Args:
        target: folder of the copy.
        change_params: changes the content of params.yaml; None: it stays as it is.
    """
    git = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        is_result = name.startswith(RESULTS) and not name.startswith("runs/scratch/")
        if is_result or name.startswith(UNUSED) or not (ROOT / name).is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)
    project = Project(target)
    if change_params is not None:
        project.write_params(change_params(project.params()))
    # Scores of so few steps and items are at chance: a person promotes them nevertheless. The code
    # that the stages run is that of the checkout, which may have changes.
    policy = {
        "promoters": {"people": ["*", PERSON]},
        "evaluation": {"min_items": 50},
        "code": {"require_commit": False},
    }
    (target / "policy.yaml").write_text(yaml.safe_dump(policy))
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "test"],
    ):
        subprocess.run(["git", "-C", str(target), *words], check=True)
    return project
