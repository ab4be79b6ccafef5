"""The rows that a run trained on, against a replay of its batches that decodes their tokens."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece as spm

from data_pipelines.errors import CorruptShard, DataError, DataVersionChanged
from data_pipelines.origins import SOURCE_COLUMNS
from data_pipelines.packed import SIDES, PackedCorpus
from data_pipelines.seen import TrainedRun, examples_of_steps, open_origins, reads_of_example

RUN = TrainedRun(
    corpus="train",
    tasks=(),
    data_version="",
    steps=25,
    global_batch_size=8,
    seed=3,
    skipped_batches=(2, 3, 11),
)


def make_run(pipeline, **changes):
    """Return a run on the pipeline's packed data, with the version that its record would have."""
    run = replace(RUN, **changes)
    corpus = PackedCorpus.open(pipeline.path(f"packed/{run.corpus}"))
    corpus = corpus.filter_tasks(run.tasks) if run.tasks else corpus
    return replace(run, data_version=corpus.manifest["version"])


def replay(pipeline, run):
    """Yield step, epoch, batch row, packed row, segment and decoded texts of every segment read.

    Batches are drawn one by one from a written-out stream, and skipped batches are left out.
    """
    model = spm.SentencePieceProcessor(model_file=str(pipeline.path("tokenizer/spiece.model")))
    corpus = PackedCorpus.open(pipeline.path(f"packed/{run.corpus}"))
    corpus = corpus.filter_tasks(run.tasks) if run.tasks else corpus
    stream = (
        (epoch + 1, int(row))
        for epoch in range(1000)
        for row in np.random.Generator(np.random.PCG64([run.seed, epoch])).permutation(len(corpus))
    )
    step, batch_index = 0, -1
    while step < run.steps:
        batch = [next(stream) for _ in range(run.global_batch_size)]
        batch_index += 1
        if batch_index in run.skipped_batches:
            continue
        step += 1
        for place, (epoch, row) in enumerate(batch, start=1):
            columns = corpus.take(np.array([row]))
            for segment in range(1, int(columns["encoder_segment_ids"].max()) + 1):
                texts = [
                    model.DecodeIds(columns[tokens][columns[ids] == segment].tolist()[:-1])
                    for tokens, ids in SIDES
                ]
                yield step, epoch, place, row, segment, *texts


def squeeze(text):
    return " ".join(text.split())


def assert_is_replay(pipeline, run, table):
    """Check that a table of reads is the replay, and that its uids have the decoded texts."""
    rows = {row["uid"]: row for row in pipeline.read_rows()}
    replayed = list(replay(pipeline, run))
    columns = ["step", "epoch", "batch_row", "packed_row", "segment"]
    places = list(zip(*(table[name].to_pylist() for name in columns), strict=True))
    assert places == [entry[:5] for entry in replayed]
    for read, (*_, inputs, targets) in zip(table.to_pylist(), replayed, strict=True):
        row = rows[read["uid"]]
        assert squeeze(row["inputs"]).startswith(inputs)
        assert squeeze(row["targets"]).startswith(targets)
        assert {name: read[name] for name in SOURCE_COLUMNS} == {
            name: row[name] for name in SOURCE_COLUMNS
        }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"skipped_batches": ()},
        {"seed": 0, "global_batch_size": 40, "steps": 9, "skipped_batches": (1,)},
        {"tasks": ("cot_*", "sample_co*"), "steps": 12},
    ],
    ids=["skipped", "plain", "several epochs", "some tasks"],
)
def test_examples_of_steps_are_those_of_a_replay_of_the_batches(finished_pipeline, changes):
    run = make_run(finished_pipeline, **changes)
    origins = open_origins(run, finished_pipeline.path("packed"))
    table = examples_of_steps(run, origins, 1, run.steps)
    assert_is_replay(finished_pipeline, run, table)
    middle = examples_of_steps(run, origins, 3, 5)
    assert middle.to_pylist() == [row for row in table.to_pylist() if 3 <= row["step"] <= 5]


@pytest.mark.parametrize("tasks", [(), ("cot_*",)])
def test_reads_of_example_are_all_its_rows_in_a_listing_of_all_steps(finished_pipeline, tasks):
    run = make_run(finished_pipeline, tasks=tasks, steps=60)
    origins = open_origins(run, finished_pipeline.path("packed"))
    listing = examples_of_steps(run, origins, 1, run.steps).to_pylist()
    exemplars = [uid for row in listing for uid in row["exemplars"]]
    uids = [listing[0]["uid"], listing[-1]["uid"], *exemplars[:3]]
    assert tasks or len(uids) == 5
    for uid in uids:
        reads = reads_of_example(run, origins, uid).to_pylist()
        expected = [row for row in listing if uid == row["uid"] or uid in row["exemplars"]]
        assert reads == expected
        assert reads
    assert reads_of_example(run, origins, "no such uid").num_rows == 0


def test_exemplars_of_a_read_are_in_the_prompt(finished_pipeline):
    run = make_run(finished_pipeline)
    records = {row["uid"]: row for row in finished_pipeline.read_rows("records/examples")}
    rows = {row["uid"]: row for row in finished_pipeline.read_rows()}
    origins = open_origins(run, finished_pipeline.path("packed"))
    num_exemplars = 0
    for read in examples_of_steps(run, origins, 1, run.steps).to_pylist():
        prompt = rows[read["uid"]]["inputs"]
        for uid in read["exemplars"]:
            exemplar = records[uid]
            start = prompt.index(exemplar["inputs"]) + len(exemplar["inputs"])
            assert prompt[start + 1 :].startswith(exemplar["targets"])
            prompt = prompt[start:]
            num_exemplars += 1
    assert num_exemplars > 20


def is_subsequence(tokens, sequence):
    remaining = iter(sequence)
    return all(token in remaining for token in tokens)


@pytest.mark.parametrize("objective", ["span_corruption", "prefix_lm"])
def test_examples_of_a_pretraining_run_are_lines_of_the_text_files(finished_pipeline, objective):
    run = make_run(finished_pipeline, corpus=objective, steps=5)
    path = finished_pipeline.path("tokenizer/spiece.model")
    model = spm.SentencePieceProcessor(model_file=str(path))
    corpus = PackedCorpus.open(finished_pipeline.path(f"packed/{objective}"))
    origins = open_origins(run, finished_pipeline.path("packed"))
    reads = examples_of_steps(run, origins, 1, run.steps).to_pylist()
    for read in reads:
        lines = finished_pipeline.path(f"raw/{read['source_file']}").read_text().split("\n")
        document = model.Encode(lines[read["source_row"] - 1])
        columns = corpus.take(np.array([read["packed_row"]]))
        num_pieces = 0
        for tokens, ids in SIDES:
            segment = columns[tokens][columns[ids] == read["segment"]].tolist()
            # Pieces that are neither a sentinel nor the end are pieces of the document, in order.
            pieces = [token for token in segment[:-1] if token < model.GetPieceSize()]
            assert is_subsequence(pieces, document)
            num_pieces += len(pieces)
        assert num_pieces > 2
        assert read["mixture"] == "text"
    assert len(reads) > 40


@pytest.mark.parametrize("steps", [(0, 3), (5, 4), (1, 26)])
def test_examples_of_steps_outside_the_run_raise(finished_pipeline, steps):
    run = make_run(finished_pipeline)
    origins = open_origins(run, finished_pipeline.path("packed"))
    message = rf"--steps: {steps[0]}:{steps[1]} is not a range .* its steps are 1:25"
    with pytest.raises(DataError, match=message):
        examples_of_steps(run, origins, *steps)


@pytest.mark.parametrize("tasks", [(), ("cot_*",)])
def test_open_origins_of_changed_data_raises(finished_pipeline, pipeline, tasks):
    run = make_run(finished_pipeline, tasks=tasks)
    pipeline.replace(mix=replace(pipeline.mix, seed=1)).run("mix", "validate", "tokenizer", "pack")
    message = rf"version \w+ is not {run.data_version}, .*the packed data has changed since"
    with pytest.raises(DataVersionChanged, match=message) as error:
        open_origins(run, pipeline.path("packed"))
    assert "\n" not in str(error.value)


def edit_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"encoder_length": 97}))


def edit_origins(folder):
    path = folder / "origins/00000.arrow"
    table = pa.ipc.open_file(path).read_all()
    swapped = table.take(pa.array([1, 0, *range(2, len(table))]))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(swapped)


def delete_origins(folder):
    (folder / "origins/00001.arrow").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edit_manifest, r"manifest\.json does not match its version"),
        (edit_origins, r"origins/00000\.arrow does not match its checksum"),
        (delete_origins, r"origins/00001\.arrow is missing"),
    ],
)
def test_open_origins_of_damaged_data_names_the_file(pipeline, damage, message):
    run = make_run(pipeline)
    damage(pipeline.path("packed/train"))
    with pytest.raises(CorruptShard, match=message):
        open_origins(run, pipeline.path("packed"))


def test_open_origins_of_data_without_origins_says_to_pack_again(pipeline):
    run = make_run(pipeline)
    path = pipeline.path("packed/train/manifest.json")
    manifest = json.loads(path.read_text())
    for entry in manifest["shards"]:
        del entry["origins_sha256"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"older release .* without origins; run `flanmoe pack`"):
        open_origins(run, pipeline.path("packed"))
