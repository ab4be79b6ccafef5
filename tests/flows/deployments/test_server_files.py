"""Dockerfile, compose file and systemd units of a team server: valid, on loopback, no secrets."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from flows.cli import cli
from tests.factories import ROOT

SERVER = ROOT / "flows" / "deployments" / "server"
UNITS = sorted((SERVER / "systemd").iterdir())
SETTINGS = {
    "FLANMOE_PROJECT": "/srv/flanmoe", "POSTGRES_PASSWORD": "pw", "PREFECT_AUTH": "user:pw",
}  # fmt: skip


def compose():
    return yaml.safe_load((SERVER / "compose.yaml").read_text())


def unit(path):
    """Parse a unit; a key may be repeated."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


def check_command(words):
    """Check that `flanmoe WORDS` or `prefect WORDS` is a command with these options."""
    program, *words = words
    if Path(program).name == "prefect":
        assert words[:2] in (["server", "start"], ["worker", "start"])
        return
    command = cli
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    command.make_context("flanmoe", words)


@pytest.mark.process
def test_compose_file_is_valid_for_docker():
    version = ["docker", "compose", "version"]
    if shutil.which("docker") is None or subprocess.run(version, capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    done = subprocess.run(
        ["docker", "compose", "-f", str(SERVER / "compose.yaml"), "config"],
        env={**os.environ, **SETTINGS}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == compose()["services"].keys()


def test_compose_builds_the_project_on_the_base_image_and_orders_the_services():
    services = compose()["services"]
    assert set(services) == {"postgres", "prefect", "deploy", "worker", "dashboard"}
    for name in set(services) - {"postgres"}:
        build = services[name]["build"]
        assert build["args"] == {"BASE_IMAGE": "${BASE_IMAGE:-python:3.11-slim}"}
        context = (SERVER / build["context"]).resolve()
        assert context == ROOT
        assert (context / build["dockerfile"]).is_file()
    for name, service in services.items():
        for other, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[other], (name, other)
    sources = [volume.split(":")[0] for volume in services["postgres"]["volumes"]]
    assert (SERVER / sources[1]).is_file()
    assert services["worker"]["depends_on"].keys() == {"deploy"}


def test_compose_services_listen_on_loopback_and_name_no_secret():
    services = compose()["services"]
    for name, service in services.items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
    text = (SERVER / "compose.yaml").read_text()
    for line in text.splitlines():
        if re.search(r"PASSWORD|AUTH", line.partition(":")[0]):
            assert "${" in line, line
    assert "${POSTGRES_PASSWORD:?" in text
    assert "${PREFECT_AUTH:?" in text


def test_compose_and_unit_commands_exist():
    for service in compose()["services"].values():
        if "command" in service:
            entrypoint = service.get("entrypoint", ["flanmoe"])
            check_command([*entrypoint, *service["command"]])
    commands = [
        value
        for path in UNITS
        if path.suffix == ".service"
        for key, value in unit(path)["Service"].items()
        if key.startswith("ExecStart")
    ]
    assert len(commands) == 4
    for command in commands:
        check_command(shlex.split(command))


def test_units_belong_to_the_target_and_run_as_a_user_of_their_own():
    target = unit(SERVER / "systemd" / "flanmoe.target")
    services = [path for path in UNITS if path.suffix == ".service"]
    assert target["Unit"]["Wants"].split() == [
        "flanmoe-prefect.service", "flanmoe-worker.service", "flanmoe-dashboard.service",
    ]  # fmt: skip
    assert {path.name for path in services} == set(target["Unit"]["Wants"].split())
    for path in services:
        service = unit(path)
        assert service["Unit"]["PartOf"] == "flanmoe.target"
        assert service["Service"]["User"] == "flanmoe"
        assert service["Service"]["EnvironmentFile"] == "/etc/flanmoe/environment"
        assert "0.0.0.0" not in path.read_text()


@pytest.mark.process
def test_units_are_valid_for_systemd(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for path in UNITS:
        # The programs are not installed here: any that exists takes their place.
        text = re.sub(r"/srv/flanmoe/.venv/bin/\w+", "/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    messages = [line for line in done.stderr.splitlines() if "flanmoe" in line]
    assert done.returncode == 0, done.stderr
    assert messages == []


def test_example_environment_has_every_variable_and_no_value_of_a_secret():
    text = (SERVER / "environment.example").read_text()
    values = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
    required = set(re.findall(r"\$\{(\w+):\?", (SERVER / "compose.yaml").read_text()))
    assert required <= values.keys()
    for name in ("POSTGRES_PASSWORD", "PREFECT_AUTH", "PREFECT_API_AUTH_STRING"):
        assert values[name] == ""


def test_dockerfile_takes_the_base_image_and_runs_as_a_user():
    lines = (SERVER / "Dockerfile").read_text().splitlines()
    instructions = [line for line in lines if line and not line.startswith(("#", " "))]
    assert instructions[0] == "ARG BASE_IMAGE=python:3.11-slim"
    assert instructions[1] == "FROM ${BASE_IMAGE}"
    assert "USER flanmoe" in instructions
    copied = [line.split()[2:-1] for line in instructions if line.startswith("COPY")]
    assert all((ROOT / name).exists() for names in copied for name in names)
