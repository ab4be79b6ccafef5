"""Conventions of the project: dvc.yaml, the code and the documentation agree."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.cli import cli
from flows.runtime.code_digest import PACKAGES
from flows.stages.digest import digest_by_stage
from models.training.params import SCRATCH
from tests.project import style

ROOT = Path(__file__).parent.parent.parent
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGE_PACKAGES = ("data_pipelines", "models", "flows")


def stage_entry(name):
    """Return a stage of dvc.yaml; for a `foreach` stage the entry below `do`."""
    return STAGES[name].get("do", STAGES[name])


@pytest.mark.parametrize("name", STAGES)
def test_stage_name_is_command_and_module(name):
    assert stage_entry(name)["cmd"].split()[:2] == ["flanmoe", name]
    assert name in cli.commands
    packages = [p for p in STAGE_PACKAGES if (ROOT / p / "stages" / f"{name}.py").exists()]
    assert len(packages) == 1
    assert callable(importlib.import_module(f"{packages[0]}.stages.{name}").run)


@pytest.mark.parametrize("name", [name for name in STAGES if name != "digest"])
def test_stage_depends_on_the_digest_of_its_code(name):
    params = [entry for entry in stage_entry(name)["params"] if isinstance(entry, dict)]
    assert params == [{"data/code_digests.json": [name]}]
    assert name in digest_by_stage(ROOT)


def test_register_and_promote_are_not_stages():
    assert not {"register", "promote"} & set(STAGES)


def test_scratch_start_has_its_folder():
    assert (ROOT / "runs" / SCRATCH / "weights").is_dir()


def test_architecture_page_lists_existing_paths():
    page = (ROOT / "docs" / "architecture.md").read_text()
    tree = page.split("## Layout")[1].split("```")[1].partition("\n")[2]
    folder_by_depth = {0: ROOT}
    for line in tree.strip("\n").splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        path = folder_by_depth[depth] / line.split()[0]
        assert path.exists(), path
        folder_by_depth[depth + 1] = path


def test_files_are_small_and_init_files_are_empty():
    for path in (p for package in PACKAGES for p in (ROOT / package).rglob("*.py")):
        lines = path.read_text().splitlines()
        assert len(lines) <= 350, f"{path} holds more than one concept"
        assert path.name != "utils.py"
        if path.name == "__init__.py":
            assert not lines, f"{path}: no logic in __init__.py"


def test_packages_are_typed():
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file()


def test_dashboard_files_shadow_no_package():
    """Streamlit puts the folder of its script first on the import path."""
    names = {path.stem for path in (ROOT / "dashboard").rglob("*")}
    assert not names & {"flows", "models", "data_pipelines", "registry"}


@pytest.mark.parametrize("name", ["params.yaml", "params.real.yaml", "params.regimes.yaml"])
def test_shipped_params_are_valid(name):
    from flows.config.load import load_params

    assert load_params(ROOT / name).dashboard.address == "127.0.0.1"


def test_regimes_differ_from_the_default_in_their_runs_only():
    """Otherwise runs that are in both files would not come from DVC's cache."""
    from flows.config.load import read_params

    default, regimes = read_params(ROOT / "params.yaml"), read_params(ROOT / "params.regimes.yaml")
    default_runs, regime_runs = default["models"].pop("runs"), regimes["models"].pop("runs")
    assert default_runs.items() <= regime_runs.items()
    assert set(regimes["models"].pop("seeds")) <= set(default["models"].pop("seeds"))
    assert default["registry"].pop("model") != regimes["registry"].pop("model")
    assert default == regimes


def test_default_runs_compare_equal_flops_with_and_without_tuning():
    from flows.config.load import load_params
    from models.cost.flops import flops_per_token
    from models.presets import preset

    runs = load_params(ROOT / "params.yaml").models.runs.values()
    kinds = {(preset(run.preset).moe is not None, run.tuned) for run in runs}
    assert kinds == {(False, False), (False, True), (True, False), (True, True)}
    flops = {flops_per_token(preset(run.preset)) for run in runs}
    # The router of so small a model is 2 % of its FLOPs.
    assert max(flops) / min(flops) < 1.03


def test_names_contain_no_banned_words():
    assert not style.private_words(style.python_files(*style.CHECKED))


def test_class_names_are_unique():
    assert not style.repeated_classes(style.python_files(*style.CHECKED))


def test_public_functions_with_tensors_or_errors_document_them():
    assert not style.short_docstrings(style.python_files(*PACKAGES))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("retained_rows", []),
        ("kept_rows", ["kept"]),
        ("rowsLeft", ["Left"]),
        ("LEFT_OUT", ["LEFT"]),
        ("one_hot", []),
        ("held_out_items", []),
        ("left_padding", []),
        ("oneDNN", ["one"]),
        ("tmp_path", []),
        ("tmp", ["tmp"]),
        ("result", []),
        ("res", ["res"]),
        ("data2", ["data2"]),
        ("resume", []),
        ("phone", []),
    ],
)
def test_banned_words_are_parts_of_names(name, words):
    assert style.banned_words(name) == words


def test_style_program_lists_breaches_of_a_file(tmp_path, monkeypatch):
    source = "class A:\n    pass\n\nclass A:\n    def f(self, kept):\n        raise ValueError\n"
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "x.py"
    path.write_text(source)
    monkeypatch.setattr(style, "ROOT", tmp_path)
    assert [breach.line for breach in style.private_words([path])] == [5]
    assert [breach.line for breach in style.repeated_classes([path])] == [4]
    assert [breach.line for breach in style.short_docstrings([path])] == [5]


def test_documents_and_comments_avoid_retired_words():
    """Packages are called packages, not rooms of a house."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "*.py", "*.yaml", "*.toml", "Makefile", "scripts/*"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    retired = re.compile(r"\b(data|models?|flows|registry) room\b|\bthe house\b", re.IGNORECASE)
    for name in listed.splitlines():
        if Path(name).name == "test_conventions.py" or not (ROOT / name).is_file():
            continue
        match = retired.search((ROOT / name).read_text())
        assert match is None, f"{name}: {match[0]!r}"


@pytest.mark.process
def test_style_program_ends_without_breaches():
    command = [sys.executable, "-m", "tests.project.style"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
