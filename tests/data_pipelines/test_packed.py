"""The tokenizer and the packed corpora of the small sample's room, as they are read again."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece as spm

from data_pipelines.errors import CorruptShard, DataError, SourceError
from data_pipelines.packed import PackedCorpus
from tests.data_pipelines.conftest import rows_of


def test_tokenizer_has_t5_ids_and_survives_a_round_trip(made):
    processor = tokenizer_of(made)
    assert (processor.pad_id(), processor.eos_id(), processor.unk_id()) == (0, 1, 2)
    rows = rows_of(made)
    for row in rows[:100]:
        text = " ".join(row["inputs"].split())
        assert processor.DecodeIds(processor.EncodeAsIds(text)) == text


def tokenizer_of(room):
    model = room.workspace / "data/tokenizer/spiece.model"
    return spm.SentencePieceProcessor(model_file=str(model))


def test_a_given_tokenizer_is_used(room):
    model = room.workspace / "data/tokenizer/spiece.model"
    given = room.workspace / "given.model"
    shutil.copyfile(model, given)
    room = room.but(tokenizer=replace(room.tokenizer, model=str(given)))
    room.run("tokenizer")
    assert model.read_bytes() == given.read_bytes()
    given.write_bytes(given.read_bytes()[:100])
    with pytest.raises(SourceError, match="no SentencePiece model"):
        room.run("tokenizer")
    given.unlink()
    with pytest.raises(SourceError, match="is missing"):
        room.run("tokenizer")


def unpacked(room, corpus):
    """Every example of a packed corpus: its two texts, its task, whether it was cut."""
    processor, folder = tokenizer_of(room), room.workspace / "data/packed" / corpus
    names = room.json(f"packed/{corpus}/manifest.json")["task_names"]
    tasks = [
        row
        for path in sorted(folder.glob("*.arrow"))
        for row in pa.ipc.open_file(path).read_all()["tasks"].to_pylist()
    ]
    opened = PackedCorpus.open(folder)
    batch = opened.take(np.arange(len(opened)))
    for row in range(len(opened)):
        assert batch["encoder_segment_ids"][row].max() == len(tasks[row])
        for segment, task in enumerate(tasks[row], start=1):
            source = batch["encoder_input_tokens"][row][
                batch["encoder_segment_ids"][row] == segment
            ].tolist()
            target = batch["decoder_target_tokens"][row][
                batch["decoder_segment_ids"][row] == segment
            ].tolist()
            assert source[-1] == target[-1] == 1
            texts = processor.DecodeIds(source[:-1]), processor.DecodeIds(target[:-1])
            yield *texts, names[task], len(source) == 96 or len(target) == 48


@pytest.mark.parametrize("corpus", ["train", "validation"])
def test_packed_rows_hold_every_example_whole(made, corpus):
    """Unpacked and decoded, the rows give back the mixture's examples; those cut, their start."""
    expected = {
        (" ".join(r["inputs"].split()), " ".join(r["targets"].split()), r["task"])
        for r in rows_of(made)
        if r["split"] == corpus
    }
    starts = [(inputs, targets) for inputs, targets, _ in expected]
    found = list(unpacked(made, corpus))
    cut = 0
    for inputs, targets, task, full in found:
        if (inputs, targets, task) not in expected:
            assert full
            assert any(i.startswith(inputs) and t.startswith(targets) for i, t in starts)
            cut += 1
    manifest = made.json(f"packed/{corpus}/manifest.json")
    assert len(found) == manifest["examples"] == sum(r["split"] == corpus for r in rows_of(made))
    assert cut <= manifest["truncated"]


def test_packing_is_tight_and_says_how_tight_it_could_be(made):
    manifest = made.json("packed/train/manifest.json")
    assert manifest["encoder_fill"] > 0.93  # a few hundred examples a window, of 96 tokens a row
    assert manifest["row_lower_bound"] <= manifest["rows"] < 1.08 * manifest["row_lower_bound"]
    assert len(manifest["shards"]) > 1


def test_rows_are_taken_across_shards_in_the_order_asked_for(made):
    corpus = PackedCorpus.open(made.workspace / "data/packed/train")
    edge = int(corpus.starts[1])
    rows = np.array([len(corpus) - 1, 3, edge, edge - 1])
    together = corpus.take(rows)
    for i, row in enumerate(rows):
        alone = corpus.take(np.array([row]))
        assert (alone["encoder_input_tokens"][0] == together["encoder_input_tokens"][i]).all()


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_shard_is_named(room, damage):
    path = room.workspace / "data/packed/train/00000.arrow"
    data = path.read_bytes()
    if damage == "changed":
        path.write_bytes(data[:-200] + bytes(200))
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    with pytest.raises(CorruptShard, match=r"00000\.arrow"):
        PackedCorpus.open(room.workspace / "data/packed/train")


def test_no_corpus(tmp_path):
    with pytest.raises(DataError, match="flanmoe pack"):
        PackedCorpus.open(tmp_path)
