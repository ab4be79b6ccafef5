"""Parts, and whole runs of the data room, as small as tests can bear."""

import gzip
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_pipelines.example import Example, RejectedRow
from data_pipelines.params import (
    CleanParams,
    EngineParams,
    FetchParams,
    MixParams,
    PackParams,
    ReadParams,
    SampleParams,
    TokenizerParams,
    ValidateParams,
)
from data_pipelines.sources.part import Part
from data_pipelines.sources.table import LOADERS
from data_pipelines.stages import clean, fetch, mix, pack, read, tokenizer, validate
from data_pipelines.stages import eval_data as benchmarks

SAMPLE = SampleParams(examples_per_family=60, held_out_items=12, text_documents=300)


@dataclass
class Room:
    """Every stage's params, and the stages in their order."""

    workspace: Path
    fetch: FetchParams = field(default_factory=lambda: FetchParams(sample=SAMPLE))
    read: ReadParams = field(default_factory=ReadParams)
    clean: CleanParams = field(default_factory=CleanParams)
    mix: MixParams = field(
        default_factory=lambda: MixParams(num_examples=1000, examples_per_shard=300)
    )
    validate: ValidateParams = field(default_factory=lambda: ValidateParams(min_examples=10))
    tokenizer: TokenizerParams = field(
        default_factory=lambda: TokenizerParams(vocab_size=500, num_sentinels=8)
    )
    pack: PackParams = field(
        default_factory=lambda: PackParams(encoder_length=96, decoder_length=48)
    )
    engine: EngineParams = field(default_factory=lambda: EngineParams(workers=1, memory_mb=256))

    def run(self, *stages):
        for stage in stages or ("fetch", "benchmarks", "read", "clean", "mix", "validate",
                                "tokenizer", "pack"):  # fmt: skip
            getattr(self, f"run_{stage}")()
        return self

    def run_fetch(self):
        fetch.run(self.fetch, self.workspace)

    def run_benchmarks(self):
        benchmarks.run(self.workspace)

    def run_read(self):
        read.run(self.read, self.engine, self.workspace)

    def run_clean(self):
        clean.run(self.clean, self.engine, self.workspace)

    def run_mix(self):
        mix.run(self.mix, self.engine, self.workspace)

    def run_validate(self):
        validate.run(self.validate, self.read, self.engine, self.workspace)

    def run_tokenizer(self):
        tokenizer.run(self.tokenizer, self.engine, self.workspace)

    def run_pack(self):
        pack.run(self.pack, self.engine, self.workspace)

    def json(self, path):
        return json.loads((self.workspace / "data" / path).read_text())

    def but(self, **changes):
        return replace(self, **changes)


@pytest.fixture
def part(tmp_path):
    """A file of a source, as a loader gets it."""

    def make(name, content, format="text", mixture="muffin", **options):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return Part(
            source="test", mixture=mixture, format=format, path=path, name=name, options=options
        )

    return make


def load(part, params=None):
    """Everything the part's loader yields."""
    return list(LOADERS[part.format].load(part, params or ReadParams()))


def good(rows):
    return [row for row in rows if isinstance(row, Example)]


def bad(rows):
    return [row for row in rows if isinstance(row, RejectedRow)]


def table(room, folder="mixture/examples"):
    return pq.read_table(room.workspace / "data" / folder)


def rows_of(room, folder="mixture/examples"):
    return table(room, folder).to_pylist()


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A room after all its stages, to look at."""
    return Room(tmp_path_factory.mktemp("made")).run()


@pytest.fixture
def room(made, tmp_path):
    """A copy of the finished room, to change."""
    shutil.copytree(made.workspace, tmp_path / "copy")
    return made.but(workspace=tmp_path / "copy")
