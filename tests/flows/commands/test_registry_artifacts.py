"""`flanmoe registry register|verify|gc` on a project with a registry of release 0.1.0."""

import json
import shutil

import pytest

from registry.artifacts.garbage import GRACE_S
from registry.store import Registry
from tests.factories import ROOT, error_line, invoke
from tests.registry.artifacts.factories import make_older
from tests.registry.factories import edit_json
from tests.registry.release_0_1_0 import copy_release_0_1_0

EXIT_FAULTS = 3


@pytest.fixture
def old(tmp_path):
    """Return a project with the registry of release 0.1.0: dense is version 1, moe 2."""
    registry = copy_release_0_1_0(tmp_path / "project")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, registry.project / name)
    return registry


@pytest.fixture
def project(tmp_path):
    """Return a project without a registry."""
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def registry_command(project, *words):
    return invoke("registry", *words, cwd=project)


def register(project, folder, *words):
    done = registry_command(project, "register", folder, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_register_adds_a_run_from_anywhere_once(project, old):
    dense, moe = old.artifacts
    assert register(project, dense) == f"{dense} is version 1 of 'flan-sample'\n"
    assert register(project, dense).endswith("already; its stored files are complete\n")
    printed = json.loads(register(project, moe, "--model", "other", "--json"))
    assert printed == {"model": "other", "version": 1, "is_new": True}
    done = registry_command(project, "verify")
    assert (done.returncode, done.stdout) == (0, "2 versions verified, no fault\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: edit_json(f / "evaluation.json", lambda r: r.update(accuracy=0.97)),
         "evaluation.json: evaluation: accuracy is 0.97 in the record, 0.15 by the samples; "
         "evaluate the run again"),
        (lambda f: (f / "weights/model.safetensors").write_bytes(b"cut"),
         "model.safetensors does not match the checksum in its record"),
        (lambda f: (f / "samples.parquet").write_bytes(b"cut"),
         "samples.parquet does not match the checksum in its record"),
        (lambda f: (f / "run.json").unlink(), "run.json is missing"),
        (lambda f: shutil.rmtree(f / "tokenizer"), "the tokenizer of its run record"),
        (shutil.rmtree, "run.json is missing"),
    ],
)  # fmt: skip
def test_register_an_invalid_run_is_rejected(project, old, change, message):
    dense, _ = old.artifacts
    change(dense)
    assert message in error_line(registry_command(project, "register", dense))
    assert not (project / ".flanmoe" / "artifacts").exists()


def test_register_restores_damaged_and_missing_files(project, old):
    dense, _ = old.artifacts
    register(project, dense)
    registry = Registry.open(project)
    artifact = registry.show("flan-sample", 1).artifact
    for path in ("weights/model.safetensors", "samples.parquet"):
        file = registry.artifacts.file(artifact, path)
        file.chmod(0o640)
        file.write_bytes(bytes(file.stat().st_size))
    registry.artifacts.file(artifact, "tokenizer/spiece.model").unlink()
    done = registry_command(project, "verify")
    assert done.returncode == EXIT_FAULTS
    lines = done.stdout.splitlines()
    assert all(line.startswith("flan-sample v1: ") for line in lines)
    for name in ("model.safetensors", "samples.parquet", "spiece.model"):
        assert sum(name in line for line in lines) >= 1
    assert "already; its stored files are complete" in register(project, dense)
    assert registry_command(project, "verify").returncode == 0


def test_register_of_an_old_version_stores_its_files_by_content(old, tmp_path):
    dense, _ = old.artifacts
    shutil.copytree(dense, tmp_path / "copy")
    assert "version 1 of 'flan-sample' already" in register(old.project, tmp_path / "copy")
    shutil.rmtree(dense)
    assert registry_command(old.project, "verify").returncode == 0
    assert invoke("predict", "a", "--version", 1, cwd=old.project).returncode == 0
    (tmp_path / "elsewhere").mkdir()
    moved = old.project.rename(tmp_path / "elsewhere" / "project")
    assert invoke("predict", "a", "--version", 1, cwd=moved).returncode == 0


def test_verify_json_lists_the_faults(project, old):
    for folder in old.artifacts:
        register(project, folder)
    registry = Registry.open(project)
    registry.artifacts.file(registry.show("flan-sample", 2).artifact, "run.json").unlink()
    done = registry_command(project, "verify", "--json")
    assert done.returncode == EXIT_FAULTS
    report = json.loads(done.stdout)
    assert report["versions"] == 2
    (fault,) = report["faults"]
    assert (fault["model"], fault["version"]) == ("flan-sample", 2)
    assert "run.json" in fault["fault"]
    assert "unknown model 'x'" in error_line(registry_command(project, "verify", "--model", "x"))


def test_gc_prints_what_it_frees_and_predict_says_how_to_restore_it(project, old):
    for folder in old.artifacts:
        register(project, folder)
    make_older(Registry.open(project).artifacts, GRACE_S + 1)
    words = ("gc", "--keep", 1, "--older-than", 0, "--champions", 0)
    planned = registry_command(project, *words, "--dry-run").stdout
    assert "flan-sample v1 (dense): weights and tokenizer would be removed, " in planned
    done = registry_command(project, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == planned.replace("would be removed", "removed").replace("to free", "freed")
    line = error_line(invoke("predict", "a", "--version", 1, cwd=project))
    assert "version 1 of 'flan-sample': retention removed its weights on" in line
    assert "`flanmoe registry register FOLDER`" in line
    assert "retention removed its weights" in registry_command(project, "show", 1).stdout
    assert invoke("predict", "a", "--version", 2, cwd=project).returncode == 0
    assert registry_command(project, "verify").returncode == 0
    assert invoke("compare", "v1", "v2", cwd=project).returncode == 0
    report = json.loads(registry_command(project, *words, "--json").stdout)
    assert report == {"dry_run": False, "versions": [], "num_unreferenced": 0, "num_bytes": 0}
    register(project, old.artifacts[0])
    assert invoke("predict", "a", "--version", 1, cwd=project).returncode == 0


def test_an_unusable_store_is_named(project, old):
    text = (project / "params.yaml").read_text()
    dense, _ = old.artifacts
    for location, message in (
        ("s4://me:hidden@bucket/x", "s4://***@bucket/x is not a URL that fsspec opens"),
        ("params.yaml", "artifact store"),
    ):
        store = f"\nregistry:\n  artifacts: {location}\n"
        (project / "params.yaml").write_text(text.replace("\nregistry:\n", store))
        line = error_line(registry_command(project, "register", dense))
        assert message in line
        assert "hidden" not in line
        assert "registry.artifacts" in line
