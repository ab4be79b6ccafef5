"""Convert between SentencePiece models and tokenizer.json of Hugging Face's `tokenizers`."""

from __future__ import annotations

import base64
import re
from typing import Any

from sentencepiece import sentencepiece_model_pb2 as spm_proto

from models.errors import ConfigError

PAD, EOS, UNK = 0, 1, 2
SPACE = "\u2581"
BYTE_PIECE = re.compile(r"<0x[0-9A-F]{2}>")
SENTINEL = re.compile(r"<extra_id_\d+>")

Piece = spm_proto.ModelProto.SentencePiece


def to_sentencepiece(tokenizer: dict[str, Any]) -> spm_proto.ModelProto:
    """Convert the content of a tokenizer.json to a SentencePiece model, without added tokens.

    Sentinels at the end of the vocabulary are left out, as in T5's own SentencePiece models.

    Raises:
        ConfigError: the tokenizer is of a kind that SentencePiece's Unigram model does not express.
    """
    model = tokenizer.get("model") or {}
    if model.get("type") != "Unigram":
        raise ConfigError(f"model {model.get('type')!r} is not supported; expected 'Unigram'")
    if model.get("unk_id") != UNK:
        raise ConfigError(f"unk_id {model.get('unk_id')!r} is not supported; expected {UNK}")
    vocab = [(str(piece), float(score)) for piece, score in model["vocab"]]
    while vocab and SENTINEL.fullmatch(vocab[-1][0]):
        vocab.pop()
    added_ids = {int(token["id"]) for token in tokenizer.get("added_tokens", [])}
    proto = spm_proto.ModelProto()
    byte_fallback = bool(model.get("byte_fallback"))
    for index, (piece, score) in enumerate(vocab):
        kind = Piece.NORMAL
        if index == UNK:
            kind = Piece.UNKNOWN
        elif index in (PAD, EOS) or SENTINEL.fullmatch(piece):
            kind = Piece.CONTROL
        elif index in added_ids:
            kind = Piece.USER_DEFINED
        elif byte_fallback and BYTE_PIECE.fullmatch(piece):
            kind = Piece.BYTE
        proto.pieces.add(piece=piece, score=score, type=kind)
    _set_trainer_spec(proto, vocab, byte_fallback=byte_fallback)
    charsmap, collapses_spaces = _read_normalizer(tokenizer.get("normalizer"))
    splits_at_spaces, has_prefix = _read_pre_tokenizer(tokenizer.get("pre_tokenizer"))
    spec = proto.normalizer_spec
    spec.name = "nmt_nfkc" if charsmap else "identity"
    spec.precompiled_charsmap = charsmap
    spec.add_dummy_prefix = has_prefix
    spec.remove_extra_whitespaces = collapses_spaces or splits_at_spaces
    spec.escape_whitespaces = True
    return proto


def from_sentencepiece(proto: spm_proto.ModelProto, num_sentinels: int) -> dict[str, Any]:
    """Convert a SentencePiece Unigram model to the content of a tokenizer.json.

    Args:
        proto: the model.
        num_sentinels: sentinels that follow its pieces, `<extra_id_0>` with the highest id.

    Raises:
        ConfigError: the model is not a Unigram model.
    """
    if proto.trainer_spec.model_type != spm_proto.TrainerSpec.UNIGRAM:
        raise ConfigError("the SentencePiece model cannot be exported: expected a Unigram model")
    vocab = [[piece.piece, piece.score] for piece in proto.pieces]
    vocab += [[f"<extra_id_{i}>", 0.0] for i in reversed(range(num_sentinels))]
    kinds = [piece.type for piece in proto.pieces] + [Piece.CONTROL] * num_sentinels
    added = [
        _added_token(index, name, is_special=kind != Piece.USER_DEFINED)
        for index, ((name, _), kind) in enumerate(zip(vocab, kinds, strict=True))
        if kind in (Piece.CONTROL, Piece.UNKNOWN, Piece.USER_DEFINED)
    ]
    byte_fallback = proto.trainer_spec.byte_fallback
    spec = proto.normalizer_spec
    metaspace = {
        "type": "Metaspace",
        "replacement": SPACE,
        "prepend_scheme": "always" if spec.add_dummy_prefix else "never",
        "split": True,
    }
    splitters = [{"type": "WhitespaceSplit"}] if spec.remove_extra_whitespaces else []
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    eos = proto.pieces[EOS].piece
    sequence, special = (
        {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": eos, "type_id": 0}},
    )
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {
            "type": "Precompiled",
            "precompiled_charsmap": base64.b64encode(spec.precompiled_charsmap).decode(),
        }
        if spec.precompiled_charsmap
        else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*splitters, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [sequence, special],
            "pair": [sequence, special, {"Sequence": {"id": "B", "type_id": 0}}, special],
            "special_tokens": {eos: {"id": eos, "ids": [EOS], "tokens": [eos]}},
        },
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {
            "type": "Unigram",
            "unk_id": UNK,
            "vocab": vocab,
            "byte_fallback": byte_fallback,
        },
    }


def _set_trainer_spec(
    proto: spm_proto.ModelProto, vocab: list[tuple[str, float]], *, byte_fallback: bool
) -> None:
    spec = proto.trainer_spec
    spec.model_type = spm_proto.TrainerSpec.UNIGRAM
    spec.vocab_size = len(vocab)
    spec.byte_fallback = byte_fallback
    spec.pad_id, spec.eos_id, spec.unk_id, spec.bos_id = PAD, EOS, UNK, -1
    spec.pad_piece, spec.eos_piece, spec.unk_piece = (vocab[i][0] for i in (PAD, EOS, UNK))


def _read_normalizer(normalizer: dict[str, Any] | None) -> tuple[bytes, bool]:
    """Return the character map, and whether repeated spaces become one."""
    charsmap, collapses_spaces = b"", False
    for part in _members(normalizer, "normalizers"):
        if part["type"] == "Precompiled":
            charsmap = base64.b64decode(part["precompiled_charsmap"])
        elif part["type"] == "Replace" and part.get("pattern") == {"Regex": " {2,}"}:
            collapses_spaces = True
        elif part["type"] != "Strip":
            raise ConfigError(
                f"normalizer {part['type']!r} is not supported; expected 'Precompiled'"
            )
    return charsmap, collapses_spaces


def _read_pre_tokenizer(pre_tokenizer: dict[str, Any] | None) -> tuple[bool, bool]:
    """Return whether it splits at whitespace, and whether it adds a space before a text."""
    splits_at_spaces, has_prefix, has_metaspace = False, False, False
    for part in _members(pre_tokenizer, "pretokenizers"):
        if part["type"] == "WhitespaceSplit":
            splits_at_spaces = True
        elif part["type"] == "Metaspace" and part.get("replacement") == SPACE:
            has_metaspace = True
            scheme = part.get("prepend_scheme", "always")
            has_prefix = scheme != "never" and part.get("add_prefix_space", True)
        else:
            raise ConfigError(
                f"pre_tokenizer {part['type']!r} is not supported; expected 'Metaspace'"
            )
    if not has_metaspace:
        raise ConfigError("pre_tokenizer 'Metaspace' is missing")
    return splits_at_spaces, has_prefix


def _members(component: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    if component is None:
        return []
    return list(component[key]) if component["type"] == "Sequence" else [component]


def _added_token(index: int, content: str, *, is_special: bool) -> dict[str, Any]:
    return {
        "id": index,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": is_special,
    }
