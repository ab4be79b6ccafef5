"""Fixtures of the data stages' tests."""

import shutil

import pytest

from tests.data_pipelines.factories import DataPipeline


@pytest.fixture(scope="session")
def finished_pipeline(tmp_path_factory):
    """A pipeline after a run of every stage; tests must not change its workspace."""
    return DataPipeline(tmp_path_factory.mktemp("finished_pipeline")).run()


@pytest.fixture
def pipeline(finished_pipeline, tmp_path):
    """A copy of the finished pipeline that a test may change."""
    shutil.copytree(finished_pipeline.workspace, tmp_path / "copy")
    return finished_pipeline.replace(workspace=tmp_path / "copy")
