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
from tests.data_pipelines.real_files import ALL_SOURCES, FEW_SOURCES, ROOT
from tests.factories import shared_folder


def run_once(pipeline):
    """Run every stage in the first pytest process that needs the pipeline; the others wait."""
    with FileLock(f"{pipeline.workspace}.lock"):
        complete = pipeline.workspace.with_suffix(".complete")
        if not complete.exists():
            pipeline.run()
            complete.touch()
    return pipeline


@pytest.fixture(scope="session")
def finished_pipeline(tmp_path_factory, worker_id):
    """A pipeline after a run of every stage; tests must not change its workspace."""
    return run_once(DataPipeline(shared_folder(tmp_path_factory, worker_id, "finished_pipeline")))


@pytest.fixture
def pipeline(finished_pipeline, tmp_path):
    """A copy of the finished pipeline that a test may change."""
    shutil.copytree(finished_pipeline.workspace, tmp_path / "copy")
    return finished_pipeline.replace(workspace=tmp_path / "copy")


@pytest.fixture(scope="module", params=["short", pytest.param("full", marks=pytest.mark.full)])
def real_pipeline(request, tmp_path_factory, worker_id):
    """Published sources, mixed and packed once for all pytest processes: 512/128 tokens.

    All evaluation data; of the training data all sources, or a few of which some overlap with them
    and with each other.
    """
    folder = shared_folder(tmp_path_factory, worker_id, f"real_pipeline_{request.param}")
    is_full = request.param == "full"
    pipeline = DataPipeline(
        folder,
        fetch=FetchParams(
            sources=(*(ALL_SOURCES if is_full else FEW_SOURCES), "eval_data/*", "exemplars/*"),
            root=str(ROOT),
        ),
        mix=MixParams(num_examples=60000 if is_full else 3000, text="examples"),
        validate=ValidateParams(max_input_characters=40000, min_examples=500 if is_full else 50),
        tokenizer=TokenizerParams(vocab_size=4096, num_sentinels=32, max_sentences=20000),
        pack=PackParams(encoder_length=512, decoder_length=128),
        engine=EngineParams(workers=2),
    )
    return run_once(pipeline)
