"""Tokenizers of checkpoints, against transformers."""

import hashlib
import io
import json

import pytest
import sentencepiece as spm
from transformers import AutoTokenizer, PreTrainedTokenizerFast, T5Tokenizer

from models.errors import ConfigError, CorruptCheckpoint, DataMismatch, UnknownModel
from models.evaluation.predictor import Seq2SeqPredictor
from models.interchange.hugging_face import export_folder, import_folder
from models.interchange.tokenizer import (
    find_tokenizer,
    read_hf_tokenizer,
    read_max_input_tokens,
    write_hf_tokenizer,
)
from models.weights import load_weights, save_weights
from tests.models.interchange.factories import random_model, save_hf_model, spiece_bytes

TEXTS = (
    "the quick fox jumps",
    "  the  dogs,\twhy?\n\nAnswer: (A) 42 ",
    "\u00e9mile e\u0301mile \ufb01ne \u2026 \U0001f600 <unknown> x",
    "",
    "\u6f22\u5b57 the",
)
NUM_SENTINELS = 20


def processor(data):
    return spm.SentencePieceProcessor(model_proto=data)


def save_hf_tokenizer(folder, *, added=()):
    """Save T5's tokenizer of transformers with the pieces of `spiece_bytes`."""
    folder.mkdir()
    (folder / "spiece.model").write_bytes(spiece_bytes())
    (folder / "config.json").write_text(json.dumps({"model_type": "t5"}))
    tokenizer = T5Tokenizer.from_pretrained(folder, extra_ids=NUM_SENTINELS)
    tokenizer.add_tokens(list(added))
    tokenizer.save_pretrained(folder)
    (folder / "spiece.model").unlink()
    return tokenizer


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_tokenizer_json_has_the_ids_of_transformers(tmp_path):
    hf_tokenizer = save_hf_tokenizer(tmp_path / "hf")
    read = processor(read_hf_tokenizer(tmp_path / "hf", 96))
    original = processor(spiece_bytes())
    assert [read.IdToPiece(i) for i in range(len(read))] == [
        original.IdToPiece(i) for i in range(len(original))
    ]
    for text in TEXTS:
        assert [*read.encode(text), 1] == hf_tokenizer.encode(text)


def test_tokenizer_json_of_earlier_transformers_has_its_ids(tmp_path):
    """transformers 4 wrote a sequence of normalizers, and Metaspace with add_prefix_space."""
    save_hf_tokenizer(tmp_path / "hf")
    file = tmp_path / "hf/tokenizer.json"

    def change(content):
        space = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}
        strip = {"type": "Strip", "strip_left": False, "strip_right": True}
        content["normalizer"] = {
            "type": "Sequence", "normalizers": [content["normalizer"], strip, space],
        }  # fmt: skip
        metaspace = content["pre_tokenizer"]["pretokenizers"][1]
        metaspace["add_prefix_space"] = True

    change_json(file, change)
    hf_tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file))
    read = processor(read_hf_tokenizer(tmp_path / "hf", 96))
    for text in TEXTS:
        assert [*read.encode(text), 1] == hf_tokenizer.encode(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["model"].update(type="BPE"), "model 'BPE' is not supported"),
        (lambda c: c["model"].update(unk_id=0), "unk_id 0 is not supported"),
        (lambda c: c.update(normalizer={"type": "Lowercase"}), "normalizer 'Lowercase' is not"),
        (lambda c: c.update(pre_tokenizer={"type": "Digits"}), "pre_tokenizer 'Digits' is not"),
        (lambda c: c.update(pre_tokenizer=None), "pre_tokenizer 'Metaspace' is missing"),
    ],
)
def test_tokenizer_json_of_another_kind_is_rejected(change, message, tmp_path):
    save_hf_tokenizer(tmp_path / "hf")
    change_json(tmp_path / "hf/tokenizer.json", change)
    with pytest.raises(ConfigError, match=message):
        read_hf_tokenizer(tmp_path / "hf", 96)


def test_added_tokens_keep_their_ids(tmp_path):
    hf_tokenizer = save_hf_tokenizer(tmp_path / "hf", added=("<sep>", "{x}"))
    read = processor(read_hf_tokenizer(tmp_path / "hf", 96))
    first = len(processor(spiece_bytes())) + NUM_SENTINELS
    assert (read.PieceToId("<sep>"), read.PieceToId("{x}")) == (first, first + 1)
    for text in (*TEXTS, "the fox<sep>", "{x}<sep>"):
        expected = [i for i in hf_tokenizer.encode(text) if i != read.PieceToId("\u2581")]
        assert [i for i in [*read.encode(text), 1] if i != read.PieceToId("\u2581")] == expected
    assert first in read.encode("the<sep>fox")
    assert read.decode([first]) == "<sep>"


def test_added_tokens_beside_a_spiece_model_follow_the_sentinels(tmp_path):
    """Earlier releases of transformers list added tokens without T5's 100 sentinels."""
    num_pieces = len(processor(spiece_bytes()))
    (tmp_path / "spiece.model").write_bytes(spiece_bytes())
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<sep>": num_pieces + 100}))
    read = processor(read_hf_tokenizer(tmp_path, 200))
    assert read.PieceToId("<sep>") == num_pieces + 100
    assert read.PieceToId("<extra_id_0>") == num_pieces + 99
    assert read.PieceToId("<extra_id_99>") == num_pieces
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<sep>": num_pieces + 7}))
    with pytest.raises(CorruptCheckpoint, match=f"no file names the token with id {num_pieces},"):
        read_hf_tokenizer(tmp_path, 200)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<sep>": 7}))
    with pytest.raises(CorruptCheckpoint, match="'<sep>' has id 7, which is the piece"):
        read_hf_tokenizer(tmp_path, 200)


def test_spiece_model_with_sentinels_only_is_unchanged(tmp_path):
    save_hf_tokenizer(tmp_path / "hf")
    (tmp_path / "hf/spiece.model").write_bytes(spiece_bytes())
    assert read_hf_tokenizer(tmp_path / "hf", 96) == spiece_bytes()


def test_tokenizer_that_does_not_fit_is_rejected(tmp_path):
    save_hf_tokenizer(tmp_path / "hf")
    (tmp_path / "hf/spiece.model").write_bytes(spiece_bytes(seed=1))
    with pytest.raises(CorruptCheckpoint, match="differ from id 6 on"):
        read_hf_tokenizer(tmp_path / "hf", 96)
    (tmp_path / "hf/spiece.model").write_bytes(spiece_bytes())
    with pytest.raises(CorruptCheckpoint, match="the embedding only 30 rows"):
        read_hf_tokenizer(tmp_path / "hf", 30)
    (tmp_path / "hf/spiece.model").write_bytes(b"no model")
    with pytest.raises(CorruptCheckpoint, match="is not a SentencePiece model"):
        read_hf_tokenizer(tmp_path / "hf", 96)


def test_spiece_model_with_other_special_ids_is_rejected(tmp_path):
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g"] * 20), model_writer=model, vocab_size=20,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    with pytest.raises(ConfigError, match=r"ids \(-1, 2, 0\) are not supported"):
        read_hf_tokenizer(tmp_path, 96)


def test_import_without_a_tokenizer_is_rejected(tmp_path):
    save_hf_model("t5_v1_0", tmp_path / "hf")
    (tmp_path / "hf/spiece.model").unlink()
    with pytest.raises(UnknownModel, match=r"has no tokenizer; copy the spiece\.model or"):
        import_folder(tmp_path / "hf", tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize("limit", [77, None])
def test_import_reads_the_models_own_maximum_input(limit, tmp_path):
    save_hf_model("t5_v1_0", tmp_path / "hf")
    if limit:
        content = json.dumps({"model_max_length": limit})
        (tmp_path / "hf/tokenizer_config.json").write_text(content)
    import_folder(tmp_path / "hf", tmp_path / "imported")
    assert load_weights(tmp_path / "imported").max_input_tokens == (limit or 512)
    (tmp_path / "hf/tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    assert read_max_input_tokens(tmp_path / "hf", {"n_positions": 128}) == 128


def byte_fallback_model():
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick fox 12 jumps over 345 dogs"] * 99), model_writer=model,
        vocab_size=310, hard_vocab_limit=False, byte_fallback=True, split_digits=True, pad_id=0,
        eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


@pytest.mark.parametrize("build", [spiece_bytes, byte_fallback_model])
def test_exported_tokenizer_has_the_same_ids_in_transformers(build, tmp_path):
    (tmp_path / "spiece.model").write_bytes(build())
    original = processor(build())
    vocab_size = len(original) + 30
    write_hf_tokenizer(
        tmp_path / "spiece.model", tmp_path / "hf", vocab_size=vocab_size, max_input_tokens=99
    )
    (tmp_path / "hf/config.json").write_text(json.dumps({"model_type": "t5"}))
    hf_tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert hf_tokenizer.model_max_length == 99
    assert hf_tokenizer.convert_tokens_to_ids("<extra_id_0>") == vocab_size - 1
    for text in TEXTS:
        assert hf_tokenizer.encode(text) == [*original.encode(text), 1]
        ids = [i for i in original.encode(text) if i != 2]
        assert hf_tokenizer.decode(ids).strip() == original.decode(ids).strip()
    assert read_hf_tokenizer(tmp_path / "hf", vocab_size) == build()
    (tmp_path / "hf/spiece.model").unlink()
    converted = processor(read_hf_tokenizer(tmp_path / "hf", vocab_size))
    assert [converted.encode(text) for text in TEXTS] == [original.encode(t) for t in TEXTS]


def test_exported_added_tokens_keep_their_ids(tmp_path):
    save_hf_tokenizer(tmp_path / "hf", added=("<sep>",))
    data = read_hf_tokenizer(tmp_path / "hf", 96)
    (tmp_path / "spiece.model").write_bytes(data)
    write_hf_tokenizer(
        tmp_path / "spiece.model", tmp_path / "out", vocab_size=96, max_input_tokens=None
    )
    assert read_hf_tokenizer(tmp_path / "out", 96) == data
    (tmp_path / "out/spiece.model").unlink()
    read = processor(read_hf_tokenizer(tmp_path / "out", 96))
    assert read.encode("fox<sep>") == processor(data).encode("fox<sep>")


def test_weights_that_were_imported_without_a_tokenizer_are_rejected(tmp_path):
    """As 0.1.0 allowed."""
    save_weights(tmp_path / "weights", random_model(), "")
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer/spiece.model").write_bytes(spiece_bytes())
    with pytest.raises(DataMismatch, match="imported without its tokenizer; import it again"):
        export_folder(tmp_path / "weights", tmp_path / "hf")
    with pytest.raises(DataMismatch, match="imported without its tokenizer; import it again"):
        Seq2SeqPredictor.load(tmp_path / "weights", tmp_path / "tokenizer")


@pytest.mark.parametrize("place", ["runs/moe/weights", "runs/moe/tokenizer", "data/tokenizer"])
def test_export_writes_the_tokenizer_of_the_weights(place, tmp_path):
    digest = hashlib.sha256(spiece_bytes()).hexdigest()
    weights = tmp_path / "runs/moe/weights"
    save_weights(weights, random_model(), digest)
    with pytest.raises(DataMismatch, match=f"its tokenizer \\(sha256 {digest[:12]}\\) is missing"):
        export_folder(weights, tmp_path / "hf")
    assert not (tmp_path / "hf").exists()
    (tmp_path / "data/tokenizer").mkdir(parents=True)
    (tmp_path / "data/tokenizer/spiece.model").write_bytes(spiece_bytes(seed=1))
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "spiece.model").write_bytes(spiece_bytes())
    assert find_tokenizer(weights, digest) == tmp_path / place / "spiece.model"
    export_folder(weights, tmp_path / "hf")
    hf_tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
    assert hf_tokenizer.encode("the fox") == [*processor(spiece_bytes()).encode("the fox"), 1]
