"""Stage tokenizer: special ids, round trip, and an existing model."""

import re
import shutil
from collections import Counter
from dataclasses import replace

import pytest
import sentencepiece as spm

from data_pipelines.errors import SourceError
from data_pipelines.packing.vocabulary import Vocabulary


def test_tokenizer_trained_model_has_t5_ids_and_inverts_its_encoding(finished_pipeline):
    model = finished_pipeline.path("tokenizer/spiece.model")
    processor = spm.SentencePieceProcessor(model_file=str(model))
    assert (processor.pad_id(), processor.eos_id(), processor.unk_id()) == (0, 1, 2)
    for row in finished_pipeline.read_rows()[:100]:
        text = " ".join(row["inputs"].split())
        assert processor.DecodeIds(processor.EncodeAsIds(text)) == text


def test_tokenizer_description_counts_pieces_and_sentinels(finished_pipeline):
    description = finished_pipeline.read_json("tokenizer/tokenizer.json")
    vocabulary = Vocabulary.load(finished_pipeline.path("tokenizer/spiece.model"), 8)
    assert description["num_pieces"] == vocabulary.num_pieces
    assert description["num_sentinels"] == 8
    assert description["vocab_size"] == vocabulary.size == vocabulary.num_pieces + 8
    assert vocabulary.sentinel_id(0) == vocabulary.size - 1
    assert vocabulary.sentinel_id(7) == vocabulary.num_pieces
    with pytest.raises(IndexError, match="sentinel 8 is out of range; there are 8"):
        vocabulary.sentinel_id(8)


def test_tokenizer_with_word_seeds_has_a_piece_for_each_frequent_word(pipeline):
    params = replace(pipeline.tokenizer, seeds="words", vocab_size=900)
    with_words = pipeline.replace(tokenizer=params)
    with_words.run("tokenizer")
    model = pipeline.path("tokenizer/spiece.model")
    data = model.read_bytes()
    with_words.run("tokenizer")
    assert model.read_bytes() == data  # without the path of a temporary file
    processor = spm.SentencePieceProcessor(model_file=str(model))
    texts = [row[name] for row in pipeline.read_rows() for name in ("inputs", "targets")]
    texts += [row["text"] for row in pipeline.read_rows("mixture/text")]
    counts = Counter(word for text in texts for word in re.findall(r"(?<!\S)\w+", text))
    pieces = {processor.IdToPiece(number) for number in range(processor.vocab_size())}
    frequent = [word for word, count in counts.items() if count >= 20]
    assert len(frequent) > 100
    assert [word for word in frequent if f"\u2581{word}" not in pieces] == []
    # Words that do not occur are spelled.
    assert processor.DecodeIds(processor.EncodeAsIds("Where is Annabel?")) == "Where is Annabel?"


def test_tokenizer_vocabulary_smaller_than_the_alphabet_raises_a_line(pipeline):
    params = replace(pipeline.tokenizer, vocab_size=20, num_sentinels=0)
    with pytest.raises(SourceError, match=r"vocab_size: 20 does not fit the texts.*") as failure:
        pipeline.replace(tokenizer=params).run("tokenizer")
    assert "\n" not in str(failure.value)


def test_tokenizer_existing_model_is_copied_or_rejected(pipeline, tmp_path):
    trained = pipeline.path("tokenizer/spiece.model")
    existing = tmp_path / "existing.model"
    shutil.copyfile(trained, existing)
    params = replace(pipeline.tokenizer, model_file=str(existing))
    pipeline = pipeline.replace(tokenizer=params)
    pipeline.run("tokenizer")
    assert trained.read_bytes() == existing.read_bytes()
    existing.write_bytes(existing.read_bytes()[:100])
    with pytest.raises(SourceError, match="is not a SentencePiece model"):
        pipeline.run("tokenizer")
    existing.unlink()
    with pytest.raises(SourceError, match=r"existing\.model is missing"):
        pipeline.run("tokenizer")


def test_tokenizer_existing_model_with_other_special_ids_raises(pipeline, tmp_path):
    texts = (f"word{i} of a text" for i in range(200))
    spm.SentencePieceTrainer.train(
        sentence_iterator=texts, model_prefix=str(tmp_path / "other"), vocab_size=60,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    params = replace(pipeline.tokenizer, model_file=str(tmp_path / "other.model"))
    with pytest.raises(SourceError, match=r"ids \(-1, 2, 0\); expected \(0, 1, 2\), as in T5"):
        pipeline.replace(tokenizer=params).run("tokenizer")
