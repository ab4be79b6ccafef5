"""The house itself: dvc.yaml, the code, README and the rules agree."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from flows.cli import cli
from models.training.params import SCRATCH

ROOT = Path(__file__).parent.parent.parent
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def entry(name):
    return DVC[name].get("do", DVC[name])


@pytest.mark.parametrize("name", DVC)
def test_one_name_three_places(name):
    assert entry(name)["cmd"].split()[:2] == ["flanmoe", name]
    assert name in cli.commands
    rooms = [room for room in ("data_pipelines", "models") if (ROOT / room / f"{name}.py").exists()]
    assert len(rooms) == 1
    assert callable(importlib.import_module(f"{rooms[0]}.{name}").run)
    # A stage runs again when its own code changes.
    assert f"{rooms[0]}/{name}.py" in entry(name)["deps"]


@pytest.mark.parametrize("name", DVC)
def test_dependencies_of_stages_exist(name):
    for path in entry(name)["deps"]:
        if path.startswith(("data_pipelines", "models")):
            assert (ROOT / path).exists(), path


def test_register_and_promote_are_no_stages():
    assert not {"register", "promote"} & set(DVC)


def test_random_weights_have_their_folder():
    assert (ROOT / "runs" / SCRATCH / "weights").is_dir()


def test_readme_names_what_is_there():
    readme = (ROOT / "README.md").read_text()
    tree = readme.split("## Where things are")[1].split("```")[1]
    folder = ROOT
    for line in tree.strip().splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        if depth == 0:
            folder = {0: ROOT}
        path = folder[depth] / name
        assert path.exists(), path
        folder[depth + 1] = path
    for command in re.findall(r"flanmoe ([a-z]+)", readme):
        if command not in ("is",):
            assert command in cli.commands, command


def test_every_room_is_typed_and_small():
    rooms = ("data_pipelines", "models", "registry", "dashboard", "flows")
    for path in (p for room in rooms for p in (ROOT / room).rglob("*.py")):
        lines = path.read_text().splitlines()
        assert len(lines) <= 350, f"{path} holds more than one concept"
        assert path.name != "utils.py"
        if path.name == "__init__.py":
            assert not lines, f"{path}: no logic in __init__.py"


def test_no_file_of_the_dashboard_shadows_a_room():
    names = {path.stem for path in (ROOT / "dashboard").rglob("*")}
    assert not names & {"flows", "models", "data_pipelines", "registry"}


@pytest.mark.parametrize("name", ["params.yaml", "params.real.yaml", "params.regimes.yaml"])
def test_shipped_params_are_valid(name):
    from flows.config.load import load

    params = load(ROOT / name)
    assert params.dashboard.address == "127.0.0.1"


def test_the_regimes_differ_from_the_default_by_their_runs_alone():
    """Or runs that both have would not come from DVC's cache."""
    from flows.config.load import read

    default, regimes = read(ROOT / "params.yaml"), read(ROOT / "params.regimes.yaml")
    runs, more = default["models"].pop("runs"), regimes["models"].pop("runs")
    assert runs.items() <= more.items()
    assert default["registry"].pop("model") != regimes["registry"].pop("model")
    assert default == regimes


def test_default_runs_are_the_published_comparison():
    """Dense and MoE of the same active FLOPs per token, each without and with tuning."""
    from flows.config.load import load
    from models.cost.flops import per_token
    from models.presets import preset

    runs = load(ROOT / "params.yaml").models.runs.values()
    kinds = {(preset(run.preset).moe is not None, run.tuned) for run in runs}
    assert kinds == {(False, False), (False, True), (True, False), (True, True)}
    costs = {per_token(preset(run.preset)) for run in runs}
    assert max(costs) / min(costs) < 1.01
