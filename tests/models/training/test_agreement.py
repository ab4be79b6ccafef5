"""Ranks of several machines that disagree about the run are stopped before the first step."""

import shutil

import pytest

from models.training.agreement import digest_code, require_same_run, require_shared_folder
from models.training.distributed import DistributedContext
from tests.models.training.agreement_cases import CASES
from tests.models.training.factories import build_trainer
from tests.ranks import run_on_ranks


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """What each rank observes in each case, by name of the case."""
    folder = tmp_path_factory.mktemp("agreement")
    build_trainer(folder / "stale", steps=7).fit()
    shutil.copytree(folder / "stale", folder / "stale_copy")
    run_on_ranks("tests.models.training.agreement_cases", (2,), folder)
    texts = {
        name: [(folder / f"{name}-{rank}.txt").read_text() for rank in range(2)] for name in CASES
    }
    assert not list((folder / "shared").iterdir())
    return {**texts, "folder": folder}


@pytest.mark.multiprocess
@pytest.mark.parametrize("name", ["same run", "shared folder"])
def test_ranks_that_agree_pass(lines, name):
    assert lines[name] == ["passed", "passed"]


@pytest.mark.multiprocess
def test_other_settings_are_named_with_host_and_rank_on_every_rank(lines):
    assert lines["other run"] == 2 * [
        "models.training.optim.lr is 0.001 on host-0 (rank 0) and 0.002 on host-1 (rank 1); start "
        "every machine with the same project and packages"
    ]


@pytest.mark.multiprocess
def test_folder_that_is_not_shared_is_named(lines):
    first, second = lines["other folder"]
    assert first.startswith(
        f"host-1: {lines['folder'] / 'machine-0'} is not the folder that host-0"
    )
    assert second.startswith("host-1: ")


@pytest.mark.multiprocess
def test_ranks_resume_from_the_checkpoint_of_rank_0(lines):
    assert lines["stale listing"] == ["6", "6"]


@pytest.mark.multiprocess
def test_checkpoint_that_a_machine_does_not_see_is_not_loaded(lines):
    for line in lines["own checkpoints"]:
        assert line.startswith("host-1: ")
        assert "step-00000006 is not the checkpoint that rank 0 resumes from" in line


def test_a_single_rank_agrees_with_itself_and_writes_nothing(tmp_path):
    require_same_run(DistributedContext(), {"a": 1})
    require_shared_folder(DistributedContext(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_digest_code_depends_on_content_and_place(tmp_path):
    for package in ("a", "b"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "module.py").write_text("x = 1")
    both = [tmp_path / "a", tmp_path / "b"]
    digest = digest_code(both)
    assert digest == digest_code(both)
    (tmp_path / "b" / "module.py").rename(tmp_path / "b" / "other.py")
    moved = digest_code(both)
    (tmp_path / "b" / "other.py").write_text("x = 2")
    assert len({digest, moved, digest_code(both)}) == 3
