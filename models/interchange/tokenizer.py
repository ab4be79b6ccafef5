"""The tokenizer of a checkpoint: read from a Hugging Face folder, found for an export, written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sentencepiece as spm
from google.protobuf.message import DecodeError
from sentencepiece import sentencepiece_model_pb2 as spm_proto

from data_pipelines.files import sha256, write_bytes, write_json
from models.errors import ConfigError, CorruptCheckpoint, DataMismatch, UnknownModel
from models.interchange.json_object import read_json_object
from models.interchange.tokenizer_json import (
    EOS,
    PAD,
    SENTINEL,
    UNK,
    Piece,
    from_sentencepiece,
    to_sentencepiece,
)
from models.weights import DEFAULT_INPUT_TOKENS

MODEL_FILE, JSON_FILE, CONFIG_FILE = "spiece.model", "tokenizer.json", "tokenizer_config.json"
DEFAULT_SENTINELS = 100
"""Sentinels of T5's published vocabularies, which follow the SentencePiece pieces."""


def read_hf_tokenizer(source: Path, vocab_size: int) -> bytes:
    """Read the tokenizer of a Hugging Face folder as a SentencePiece model.

    `spiece.model` is returned unchanged, unless tokens other than T5's sentinels were added to it:
    these become user-defined pieces with their ids, which match as a unit.

    Args:
        source: folder with spiece.model, tokenizer.json or both.
        vocab_size: rows of the model's embedding.

    Raises:
        UnknownModel: the folder has no tokenizer.
        ConfigError: the tokenizer is of a kind that is not supported, or its ids are not T5's.
        CorruptCheckpoint: a file cannot be read, or the files contradict each other or the model.
    """
    model_file, json_file = source / MODEL_FILE, source / JSON_FILE
    content = read_json_object(json_file) if json_file.is_file() else None
    if model_file.is_file():
        data = model_file.read_bytes()
        proto = _parse(data, model_file)
        if content is not None:
            _check_same_pieces(proto, content, json_file)
    elif content is not None:
        proto = _convert(content, json_file)
        data = proto.SerializeToString()
    else:
        raise UnknownModel(
            f"{source} has no tokenizer; copy the spiece.model or tokenizer.json that the "
            "checkpoint was made with into the folder: another vocabulary gives wrong scores"
        )
    tokens_by_id = _added_tokens(source, content)
    if _add_pieces(proto, tokens_by_id, source):
        data = proto.SerializeToString()
    processor = spm.SentencePieceProcessor(model_proto=data)
    ids = (processor.pad_id(), processor.eos_id(), processor.unk_id())
    if ids != (PAD, EOS, UNK):
        raise ConfigError(
            f"{source}: padding, end-of-sequence and unknown ids {ids} are not supported; expected "
            f"{(PAD, EOS, UNK)}, as in T5"
        )
    largest_id = max([len(proto.pieces) - 1, *tokens_by_id])
    if largest_id >= vocab_size:
        raise CorruptCheckpoint(
            f"{source}: the tokenizer has id {largest_id}, the embedding only {vocab_size} rows; "
            "copy the tokenizer that the checkpoint was made with"
        )
    return data


def read_max_input_tokens(source: Path, hf_config: dict[str, Any]) -> int:
    """Return the longest input of a Hugging Face model: model_max_length, else n_positions, or 512.

    transformers writes a model_max_length of 1e30 for tokenizers without one.
    """
    config_file = source / CONFIG_FILE
    limit = read_json_object(config_file).get("model_max_length") if config_file.is_file() else None
    if isinstance(limit, int) and 0 < limit < 10**9:
        return limit
    return int(hf_config.get("n_positions") or DEFAULT_INPUT_TOKENS)


def find_tokenizer(weights: Path, tokenizer_sha256: str) -> Path:
    """Return the SentencePiece model that a weights folder was trained with.

    It lies in the folder itself, beside it in a registered version, or in data/tokenizer of the
    workspace.

    Raises:
        DataMismatch: none of these files has the checksum, or the tokenizer is unknown.
    """
    if not tokenizer_sha256:
        raise DataMismatch(f"{weights} was imported without its tokenizer; import it again")
    folders = [weights, weights.parent / "tokenizer"]
    folders += [parent / "data" / "tokenizer" for parent in weights.resolve().parents]
    for folder in folders:
        file = folder / MODEL_FILE
        if file.is_file() and sha256(file) == tokenizer_sha256:
            return file
    raise DataMismatch(
        f"{weights}: its tokenizer (sha256 {tokenizer_sha256[:12]}) is missing; copy "
        f"the {MODEL_FILE} that it was trained with into the folder"
    )


def write_hf_tokenizer(
    model_file: Path, target: Path, *, vocab_size: int, max_input_tokens: int | None
) -> None:
    """Write spiece.model, tokenizer.json and tokenizer_config.json for AutoTokenizer.

    Args:
        model_file: the SentencePiece model.
        target: Hugging Face folder.
        vocab_size: rows of the model's embedding; the ids after the pieces are sentinels.
        max_input_tokens: longest input of the model; None if unknown.

    Raises:
        ConfigError: the model is not a Unigram model.
        CorruptCheckpoint: the model cannot be read.
    """
    data = model_file.read_bytes()
    proto = _parse(data, model_file)
    has_sentinels = any(SENTINEL.fullmatch(piece.piece) for piece in proto.pieces)
    num_free = 0 if has_sentinels else vocab_size - len(proto.pieces)
    num_sentinels = min(num_free, _num_sentinels(model_file.parent))
    content = from_sentencepiece(proto, num_sentinels)
    write_bytes(target / MODEL_FILE, data)
    write_json(target / JSON_FILE, content)
    config: dict[str, Any] = {
        # A class that uses tokenizer.json as it is; T5Tokenizer would drop byte fallback.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": proto.pieces[PAD].piece,
        "eos_token": proto.pieces[EOS].piece,
        "unk_token": proto.pieces[UNK].piece,
    }
    if max_input_tokens is not None:
        config["model_max_length"] = max_input_tokens
    write_json(target / CONFIG_FILE, config)


def _num_sentinels(folder: Path) -> int:
    """Read the number of sentinels from the description that the stage `tokenizer` writes."""
    description = folder / JSON_FILE
    if not description.is_file():
        return DEFAULT_SENTINELS
    return int(read_json_object(description).get("num_sentinels", DEFAULT_SENTINELS))


def _added_tokens(source: Path, content: dict[str, Any] | None) -> dict[int, str]:
    """Return the tokens that any file of the folder adds, by id."""
    tokens = {
        int(token["id"]): str(token["content"]) for token in (content or {}).get("added_tokens", [])
    }
    older_file = source / "added_tokens.json"
    if older_file.is_file():
        tokens |= {int(index): token for token, index in read_json_object(older_file).items()}
    config_file = source / CONFIG_FILE
    if config_file.is_file():
        decoder = read_json_object(config_file).get("added_tokens_decoder") or {}
        tokens |= {int(index): str(token["content"]) for index, token in decoder.items()}
    return tokens


def _add_pieces(proto: spm_proto.ModelProto, tokens_by_id: dict[int, str], source: Path) -> bool:
    """Add tokens to the pieces, unless all of them are sentinels; return whether they changed."""
    num_pieces = len(proto.pieces)
    for index, token in tokens_by_id.items():
        if index < num_pieces and proto.pieces[index].piece != token:
            raise CorruptCheckpoint(
                f"{source}: added token {token!r} has id {index}, which is the piece "
                f"{proto.pieces[index].piece!r}; copy the checkpoint's own tokenizer"
            )
    new = {index: token for index, token in tokens_by_id.items() if index >= num_pieces}
    if all(SENTINEL.fullmatch(token) for token in new.values()):
        return False
    end = max(new) + 1
    missing = [index for index in range(num_pieces, end) if index not in new]
    if len(missing) == DEFAULT_SENTINELS and missing == [*range(num_pieces, missing[-1] + 1)]:
        # Older files list the added tokens without T5's sentinels, which come before them.
        new |= {index: f"<extra_id_{missing[-1] - index}>" for index in missing}
    elif missing:
        raise CorruptCheckpoint(
            f"{source}: no file names the token with id {missing[0]}, between the "
            f"{num_pieces} pieces and the added token {new[end - 1]!r}"
        )
    for index in range(num_pieces, end):
        kind = Piece.CONTROL if SENTINEL.fullmatch(new[index]) else Piece.USER_DEFINED
        proto.pieces.add(piece=new[index], score=0.0, type=kind)
    proto.trainer_spec.vocab_size = end
    return True


def _check_same_pieces(
    proto: spm_proto.ModelProto, content: dict[str, Any], json_file: Path
) -> None:
    """Raise unless both files of a folder number the same pieces alike."""
    converted = _convert(content, json_file)
    names, others = ([piece.piece for piece in p.pieces] for p in (proto, converted))
    if names == others:
        return
    pairs = zip(names, others, strict=False)
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(names), len(others)))
    raise CorruptCheckpoint(
        f"{json_file} and {MODEL_FILE} differ from id {first} on; remove the one that the "
        "checkpoint was not made with"
    )


def _convert(content: dict[str, Any], path: Path) -> spm_proto.ModelProto:
    try:
        return to_sentencepiece(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CorruptCheckpoint(f"{path} is not a tokenizer of transformers: {error!r}") from None


def _parse(data: bytes, path: Path) -> spm_proto.ModelProto:
    proto = spm_proto.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        proto.Clear()
    if not proto.pieces:
        raise CorruptCheckpoint(f"{path} is not a SentencePiece model; download it again")
    return proto
