"""Fixtures of the data stages' tests."""

import shutil

import pytest
from filelock import FileLock

from data_pipelines.params import (
    EngineParams,
    FetchParams,
    MixParams,
    PackParams,
    TokenizerParams,
    ValidateParams,
)
from tests.data_pipelines.factories import DataPipeline
from tests.data_pipelines.real_files import ROOT
from tests.factories import shared_folder


@pytest.fixture(scope="session")
def finished_pipeline(tmp_path_factory):
    """A pipeline after a run of every stage; tests must not change its workspace."""
    return DataPipeline(tmp_path_factory.mktemp("finished_pipeline")).run()


@pytest.fixture
def pipeline(finished_pipeline, tmp_path):
    """A copy of the finished pipeline that a test may change."""
    shutil.copytree(finished_pipeline.workspace, tmp_path / "copy")
    return finished_pipeline.replace(workspace=tmp_path / "copy")


@pytest.fixture(scope="module")
def real_pipeline(tmp_path_factory, worker_id):
    """All published sources, mixed and packed once for all pytest processes: 512/128 tokens."""
    folder = shared_folder(tmp_path_factory, worker_id, "real_pipeline")
    pipeline = DataPipeline(
        folder,
        fetch=FetchParams(
            sources=("cot/*", "niv2/*", "muffin/*", "t0/*", "eval_data/*", "exemplars/*"),
            root=str(ROOT),
        ),
        mix=MixParams(num_examples=60000, text="examples"),
        validate=ValidateParams(max_input_characters=40000, min_examples=500),
        tokenizer=TokenizerParams(vocab_size=4096, num_sentinels=32, max_sentences=20000),
        pack=PackParams(encoder_length=512, decoder_length=128),
        engine=EngineParams(workers=2),
    )
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            pipeline.run()
            (folder / "complete").touch()
    return pipeline
