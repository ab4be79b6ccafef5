"""Data versions: folders, and git revisions whose outputs are in the DVC cache."""

import json
import shutil
import subprocess

import pytest
from dvc.repo import Repo

from data_pipelines.data_version import COMPARED_OUTPUTS, open_version
from data_pipelines.diff import diff_data
from data_pipelines.errors import DataError


def git(folder, *words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def repository(finished_pipeline, tmp_path):
    """A git repository with two commits, the second with another tokenizer and fewer texts."""
    folder = tmp_path / "repository"
    for output in COMPARED_OUTPUTS:
        source, target = finished_pipeline.workspace / output, folder / output
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    git(folder, "init", "-q")
    with Repo.init(str(folder)) as repo:
        repo.add([str(folder / "data")])
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "first")
        git(folder, "tag", "first")
        (folder / "data/tokenizer/tokenizer.json").unlink()  # it may be a link to the cache
        description = {"vocab_size": 7, "sha256": "0" * 64}
        (folder / "data/tokenizer/tokenizer.json").write_text(json.dumps(description))
        next((folder / "data/mixture/text").iterdir()).unlink()
        repo.add([str(folder / "data")])
        git(folder, "commit", "-qam", "second")
    return folder


@pytest.mark.process
def test_open_version_of_a_git_revision_reads_the_dvc_cache(repository, finished_pipeline):
    shutil.rmtree(repository / "data")
    with open_version("first", repository) as first, open_version("HEAD", repository) as head:
        same = diff_data(first, finished_pipeline.workspace)
        assert same["data_version"][0] == same["data_version"][1]
        assert not any(mixture["added"] for mixture in same["mixtures"].values())
        difference = diff_data(first, head)
    assert [entry["vocab_size"] for entry in difference["tokenizer"]] == [500, 7]
    assert difference["mixtures"]["text"]["removed"] > 100


@pytest.mark.process
def test_open_version_of_a_revision_without_cache_says_what_to_do(repository):
    shutil.rmtree(repository / ".dvc/cache")
    with (
        pytest.raises(DataError, match=r"HEAD~1: data/\S+ is not in the DVC cache, .*`dvc fetch`"),
        open_version("HEAD~1", repository),
    ):
        pass


@pytest.mark.process
def test_open_version_of_an_unknown_name_says_what_a_version_is(repository):
    with (
        pytest.raises(DataError, match=r"^nowhere: it is neither a folder nor a git revision of "),
        open_version("nowhere", repository),
    ):
        pass


@pytest.mark.parametrize("name", ["", "data"])
def test_open_version_of_a_folder_is_its_workspace(finished_pipeline, tmp_path, name):
    with open_version(str(finished_pipeline.workspace / name), tmp_path) as folder:
        assert folder.resolve() == finished_pipeline.workspace.resolve()


def test_open_version_of_a_folder_without_data_names_the_missing_file(tmp_path):
    (tmp_path / "data").mkdir()
    with (
        pytest.raises(DataError, match=r"data/raw/manifest\.json is missing, so it is not a data"),
        open_version(str(tmp_path), tmp_path),
    ):
        pass
