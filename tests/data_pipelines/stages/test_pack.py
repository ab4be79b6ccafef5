"""Stage pack: packed rows decode to the mixture's examples and have little padding."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece as spm

from data_pipelines.errors import DataError, ExpectationFailed
from data_pipelines.packed import SIDES, PackedCorpus


def decode_corpus(pipeline, corpus):
    """Yield inputs, targets, task, and whether a side has row length, of every packed example."""
    model = pipeline.path("tokenizer/spiece.model")
    processor = spm.SentencePieceProcessor(model_file=str(model))
    folder = pipeline.path(f"packed/{corpus}")
    task_names = pipeline.read_json(f"packed/{corpus}/manifest.json")["task_names"]
    task_rows = [
        row
        for path in sorted(folder.glob("*.arrow"))
        for row in pa.ipc.open_file(path).read_all()["tasks"].to_pylist()
    ]
    packed = PackedCorpus.open(folder)
    batch = packed.take(np.arange(len(packed)))
    for row in range(len(packed)):
        assert batch["encoder_segment_ids"][row].max() == len(task_rows[row])
        for segment, task in enumerate(task_rows[row], start=1):
            source, target = (
                batch[tokens][row][batch[segments][row] == segment].tolist()
                for tokens, segments in (
                    ("encoder_input_tokens", "encoder_segment_ids"),
                    ("decoder_target_tokens", "decoder_segment_ids"),
                )
            )
            assert source[-1] == target[-1] == 1
            texts = processor.DecodeIds(source[:-1]), processor.DecodeIds(target[:-1])
            yield *texts, task_names[task], len(source) == 96 or len(target) == 48


@pytest.mark.parametrize("corpus", ["train", "validation"])
def test_pack_rows_decode_to_the_examples_of_the_mixture(finished_pipeline, corpus):
    """Truncated examples decode to a prefix."""
    rows = [row for row in finished_pipeline.read_rows() if row["split"] == corpus]
    expected = {
        (" ".join(r["inputs"].split()), " ".join(r["targets"].split()), r["task"]) for r in rows
    }
    decoded = list(decode_corpus(finished_pipeline, corpus))
    num_truncated = 0
    for inputs, targets, task, is_full in decoded:
        if (inputs, targets, task) not in expected:
            assert is_full
            assert any(i.startswith(inputs) and t.startswith(targets) for i, t, _ in expected)
            num_truncated += 1
    manifest = finished_pipeline.read_json(f"packed/{corpus}/manifest.json")
    assert len(decoded) == manifest["examples"] == len(rows)
    assert num_truncated <= manifest["truncated"]


@pytest.mark.parametrize("text_share", [0.2, 0.9])
def test_pack_train_corpus_has_the_share_of_text_or_all_of_it(pipeline, text_share):
    params = replace(pipeline.pack, text_share=text_share, prefix_lm_target_share=0.25)
    pipeline.replace(pack=params).run("pack")
    manifest = pipeline.read_json("packed/train/manifest.json")
    num_examples = sum(row["split"] == "train" for row in pipeline.read_rows())
    texts = [" ".join(row["text"].split()) for row in pipeline.read_rows("mixture/text")]
    num_texts = min(len(texts), round(num_examples * text_share / (1 - text_share)))
    decoded = list(decode_corpus(pipeline, "train"))
    packed_texts = [f"{inputs} {targets}" for inputs, targets, task, _ in decoded if task == "text"]
    assert len(packed_texts) == manifest["by_task"]["text"]["examples"] == num_texts
    assert len(decoded) == num_examples + num_texts
    # A target may begin with a part of a word.
    assert {t.replace(" ", "") for t in texts}.issuperset(t.replace(" ", "") for t in packed_texts)
    assert any("text" in entry["tasks"] for entry in manifest["licences"])


def test_pack_rows_are_full_and_close_to_the_lower_bound(finished_pipeline):
    manifest = finished_pipeline.read_json("packed/train/manifest.json")
    assert manifest["encoder_fill"] > 0.93  # a few hundred examples per shard, 96 tokens per row
    assert manifest["row_lower_bound"] <= manifest["rows"] < 1.08 * manifest["row_lower_bound"]
    assert len(manifest["shards"]) > 1


def test_pack_validates_every_corpus(finished_pipeline):
    findings = finished_pipeline.read_json("packed/validation.json")
    suites = {finding["suite"] for finding in findings}
    assert suites == {
        "packed train", "packed validation", "packed span_corruption", "packed prefix_lm",
    }  # fmt: skip
    assert all(finding["success"] for finding in findings)


def test_pack_with_a_wrong_vocabulary_size_raises_and_preserves_the_earlier_shards(pipeline):
    before = pipeline.read_bytes("packed")
    path = pipeline.path("tokenizer/tokenizer.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 100}))
    with pytest.raises(ExpectationFailed, match=r"packed shards are invalid: .*highest_token"):
        pipeline.run("pack")
    assert pipeline.read_bytes("packed") == before


@pytest.mark.parametrize("corpus", ["span_corruption", "prefix_lm"])
def test_pack_without_text_gives_empty_pretraining_corpora(pipeline, corpus):
    shutil.rmtree(pipeline.path("mixture/text"))
    pipeline.path("mixture/text").mkdir()
    shutil.rmtree(pipeline.path("raw/facts"))  # which no text states any more
    pipeline.run("validate", "tokenizer", "pack")
    with pytest.raises(DataError, match=rf"{corpus} has no rows: .*mix.text: examples"):
        PackedCorpus.open(pipeline.path(f"packed/{corpus}"))
    assert len(PackedCorpus.open(pipeline.path("packed/train")))


def read_texts(pipeline):
    """Return the token ids of each pre-training text, sorted."""
    model = spm.SentencePieceProcessor(model_file=str(pipeline.path("tokenizer/spiece.model")))
    return sorted(model.EncodeAsIds(row["text"]) for row in pipeline.read_rows("mixture/text"))


def read_pairs(pipeline, corpus):
    """Yield the token ids of both sides of every packed pair, without the EOS tokens."""
    packed = PackedCorpus.open(pipeline.path(f"packed/{corpus}"))
    batch = packed.take(np.arange(len(packed)))
    for row in range(len(packed)):
        for segment in range(1, batch["encoder_segment_ids"][row].max() + 1):
            yield tuple(
                batch[tokens][row][batch[segments][row] == segment].tolist()[:-1]
                for tokens, segments in SIDES
            )


def test_pack_of_long_texts_loses_no_token(pipeline):
    """Rows of 16 / 8 tokens are shorter than many texts: they are split, not cut."""
    short = replace(pipeline.pack, encoder_length=16, decoder_length=8)
    pipeline.replace(pack=short).run("pack")
    num_tokens = Counter(token for text in read_texts(pipeline) for token in text)
    assert max(map(len, read_texts(pipeline))) > 16
    first_sentinel = pipeline.read_json("tokenizer/tokenizer.json")["vocab_size"] - 8
    for corpus in ("prefix_lm", "span_corruption"):
        pairs = list(read_pairs(pipeline, corpus))
        packed = Counter(t for pair in pairs for side in pair for t in side if t < first_sentinel)
        assert packed == num_tokens
        manifest = pipeline.read_json(f"packed/{corpus}/manifest.json")
        assert manifest["lost_tokens"] == manifest["truncated"] == 0
        assert manifest["examples"] == len(pairs) > 300


def test_pack_counts_the_tokens_cut_from_instructions(pipeline):
    short = replace(pipeline.pack, encoder_length=32, decoder_length=16)
    pipeline.replace(pack=short).run("pack")
    model = spm.SentencePieceProcessor(model_file=str(pipeline.path("tokenizer/spiece.model")))
    rows = [row for row in pipeline.read_rows() if row["split"] == "train"]
    cut = [
        max(0, len(model.EncodeAsIds(row["inputs"])) - 31)
        + max(0, len(model.EncodeAsIds(row["targets"])) - 15)
        for row in rows
    ]
    summary = pipeline.read_json("packed/summary.json")["train"]
    assert summary["lost_tokens"] == sum(cut) > 0
    assert summary["truncated"] == sum(tokens > 0 for tokens in cut)


def test_pack_with_too_few_sentinels_says_the_length_at_which_they_suffice(pipeline, caplog):
    long = replace(pipeline.pack, encoder_length=512, decoder_length=128)
    pipeline.replace(pack=long).run("pack")
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.message.startswith(
        "data_pipelines.tokenizer.num_sentinels: 8 is too few for span corruption of pieces of 568 "
        "tokens, which have up to 28 spans; it suffices for pieces of 169 tokens"
    )


def test_pack_without_validation_examples_raises(pipeline):
    for path in pipeline.path("mixture/examples").glob("validation-*"):
        path.unlink()
    with pytest.raises(DataError, match=r"the validation corpus would be empty; raise data_pipeli"):
        pipeline.run("pack")
