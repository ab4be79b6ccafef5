"""Runs of the data stages with small parameters, and readers of the stages' outputs."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq

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
from data_pipelines.stages import clean, eval_data, fetch, mix, pack, read, tokenizer, validate

STAGES = ("fetch", "eval_data", "read", "clean", "mix", "validate", "tokenizer", "pack")
SAMPLE = SampleParams(
    examples_per_family=60, held_out_items=12, text_documents=300, facts_bits_per_parameter=0.05
)


@dataclass
class DataPipeline:
    """The data stages with small parameters, and the workspace that they write to."""

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
        """Run the named stages in order, by default every stage; return this pipeline."""
        run_by_stage = {
            "fetch": lambda: fetch.run(self.fetch, self.workspace),
            "eval_data": lambda: eval_data.run(self.workspace),
            "read": lambda: read.run(self.read, self.engine, self.workspace),
            "clean": lambda: clean.run(self.clean, self.engine, self.workspace),
            "mix": lambda: mix.run(self.mix, self.engine, self.workspace),
            "validate": lambda: validate.run(self.validate, self.read, self.engine, self.workspace),
            "tokenizer": lambda: tokenizer.run(self.tokenizer, self.engine, self.workspace),
            "pack": lambda: pack.run(self.pack, self.engine, self.workspace),
        }
        for stage in stages or STAGES:
            run_by_stage[stage]()
        return self

    def replace(self, **changes):
        """Return a pipeline with other parameters or another workspace."""
        return replace(self, **changes)

    def path(self, name):
        """Return a path below data/."""
        return self.workspace / "data" / name

    def read_json(self, name):
        """Return the content of a JSON file below data/."""
        return json.loads(self.path(name).read_text())

    def read_table(self, name="mixture/examples"):
        """Return a Parquet file or folder below data/ as an Arrow table."""
        return pq.read_table(self.path(name))

    def read_rows(self, name="mixture/examples"):
        """Return the rows of a Parquet file or folder below data/, as dicts."""
        return self.read_table(name).to_pylist()

    def read_bytes(self, name=""):
        """Return the content of every file of a folder below data/, by path."""
        folder = self.path(name)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def write_json_lines(path, records):
    """Write a file of JSON lines and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
