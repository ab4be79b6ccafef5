"""Import and export checkpoints in Hugging Face's format: config.json and safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from data_pipelines.files import sha256, write_bytes, write_json
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import ConfigError, CorruptCheckpoint, UnknownModel
from models.interchange.configuration import from_hf_config, scales_output, to_hf_config
from models.interchange.json_object import read_json_object
from models.interchange.tensor_names import EMBEDDING_COPIES, UNUSED, tensor_mappings
from models.interchange.tokenizer import (
    MODEL_FILE,
    find_tokenizer,
    read_hf_tokenizer,
    read_max_input_tokens,
    write_hf_tokenizer,
)
from models.weights import load_weights, save_weights

HF_HEAD, HF_EMBEDDING = "lm_head.weight", "shared.weight"


def import_folder(source: Path, target: Path) -> ModelConfig:
    """Convert a Hugging Face folder to a weights folder with the checkpoint's own tokenizer.

    Args:
        source: folder with config.json, safetensors (sharded or not), and the tokenizer.
        target: weights folder; not created if an error is raised.

    Returns:
        The configuration of the model.

    Raises:
        UnknownModel: config.json, a safetensors file or the tokenizer is missing.
        ConfigError: the architecture or the kind of tokenizer is not supported.
        CorruptCheckpoint: a file is unreadable; a tensor is missing, unexpected, of another shape
            or not finite; or the tokenizer does not fit the model.
    """
    hf_config = _read_config(source)
    model = _build_model(source, hf_config)
    tokenizer = read_hf_tokenizer(source, model.config.vocab_size)
    max_input_tokens = read_max_input_tokens(source, hf_config)
    write_bytes(target / MODEL_FILE, tokenizer)
    save_weights(target, model, sha256(target / MODEL_FILE), max_input_tokens=max_input_tokens)
    return model.config


def read_folder(source: Path) -> T5:
    """Read the model of a Hugging Face folder in float32.

    Raises:
        UnknownModel: as `import_folder`.
        ConfigError: as `import_folder`.
        CorruptCheckpoint: as `import_folder`.
    """
    return _build_model(source, _read_config(source))


def _read_config(source: Path) -> dict[str, Any]:
    file = source / "config.json"
    if not file.is_file():
        raise UnknownModel(f"{source} has no config.json; expected a Hugging Face checkpoint")
    return read_json_object(file)


def _build_model(source: Path, hf_config: dict[str, Any]) -> T5:
    hf_state = _read_tensors(source)
    _normalise_names(hf_state, source)
    head = hf_state.pop(HF_HEAD, None)
    if head is None and hf_config.get("tie_word_embeddings") is False:
        raise CorruptCheckpoint(
            f"{source}: {HF_HEAD} is missing, but tie_word_embeddings is false in config.json, so "
            "the output layer is not the embedding; download the complete checkpoint"
        )
    separate_head = head is not None and not torch.equal(head, hf_state.get(HF_EMBEDDING, head[:0]))
    try:
        config = from_hf_config(hf_config, separate_head=separate_head)
    except ConfigError as error:
        raise ConfigError(f"{source / 'config.json'}: {error}") from None
    with torch.device("meta"):
        model = T5(config)
    state = _convert_names(hf_state, config, source)
    if not config.tie_word_embeddings:
        state["head"] = _convert_head(head, state["embedding"], hf_config, config)
    _check_tensors(state, model, source)
    model.load_state_dict(state, assign=True)
    return model


def export_folder(source: Path, target: Path) -> list[str]:
    """Convert a weights folder to a folder for transformers' `from_pretrained`, with its tokenizer.

    Returns:
        A line for each setting that transformers' config.json cannot express.

    Raises:
        UnknownModel: `source` has no weights.
        CorruptCheckpoint: the weights in `source` cannot be read.
        ConfigError: transformers has no class for the model.
        DataMismatch: the tokenizer that the model was trained with is not where it should be.
    """
    loaded = load_weights(source)
    model = loaded.model
    hf_config, warnings = to_hf_config(model.config)
    tokenizer = find_tokenizer(source, loaded.tokenizer_sha256)
    state = model.state_dict()
    hf_state: dict[str, Tensor] = {}
    for mapping in tensor_mappings(model.config):
        hf_state |= mapping.to_hf(state[mapping.name])
    if not model.config.tie_word_embeddings:
        hf_state[HF_HEAD] = state["head"].contiguous()
    write_bytes(target / "model.safetensors", save(hf_state, metadata={"format": "pt"}))
    write_hf_tokenizer(
        tokenizer,
        target,
        vocab_size=model.config.vocab_size,
        max_input_tokens=loaded.max_input_tokens,
    )
    write_json(target / "config.json", hf_config)
    return warnings


def _read_tensors(source: Path) -> dict[str, Tensor]:
    """Read all tensors of one file, or of the shards that the index lists."""
    index = source / "model.safetensors.index.json"
    try:
        if index.is_file():
            file_by_tensor: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))[
                "weight_map"
            ]
            files = [source / Path(name).name for name in sorted(set(file_by_tensor.values()))]
        else:
            file_by_tensor, files = {}, [source / "model.safetensors"]
        hf_state: dict[str, Tensor] = {}
        for file in files:
            if not file.is_file():
                raise UnknownModel(
                    f"{file} is missing; only safetensors are supported, not pickled weights"
                )
            hf_state |= _load_safetensors(file)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptCheckpoint(f"{index} cannot be read: {error}") from None
    # Indexes of Flan-T5 name tied copies of the embedding, which no shard stores.
    tied = {*EMBEDDING_COPIES, HF_HEAD} if HF_EMBEDDING in hf_state else set()
    missing = sorted(set(file_by_tensor) - set(hf_state) - tied)
    if missing:
        raise CorruptCheckpoint(f"{index} lists {missing[0]}, which is in no shard")
    return hf_state


def _load_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (SafetensorError, OSError) as error:
        raise CorruptCheckpoint(
            f"{file} cannot be read ({error}): it is truncated or altered; download it again"
        ) from None
    return tensors


def _normalise_names(hf_state: dict[str, Tensor], source: Path) -> None:
    """Give the embedding a single name and remove unused tensors."""
    for name in EMBEDDING_COPIES:
        tensor = hf_state.pop(name, None)
        if tensor is not None and not torch.equal(
            hf_state.setdefault(HF_EMBEDDING, tensor), tensor
        ):
            raise CorruptCheckpoint(
                f"{source}: {name} differs from {HF_EMBEDDING}; only one embedding is supported"
            )
    for name in UNUSED:
        hf_state.pop(name, None)


def _convert_names(
    hf_state: dict[str, Tensor], config: ModelConfig, source: Path
) -> dict[str, Tensor]:
    """Convert all tensors to this project's names, in float32; raise if names do not match."""
    mappings = list(tensor_mappings(config))
    expected = [name for mapping in mappings for name in mapping.hf_names]
    missing = [name for name in expected if name not in hf_state]
    if missing:
        raise CorruptCheckpoint(
            f"{source}: {len(missing)} tensor(s) are missing, first {missing[0]}"
        )
    unexpected = sorted(set(hf_state) - set(expected))
    if unexpected:
        raise CorruptCheckpoint(
            f"{source}: {len(unexpected)} tensor(s) do not belong to this architecture, "
            f"first {unexpected[0]}"
        )
    return {
        mapping.name: mapping.from_hf([hf_state[name].float() for name in mapping.hf_names])
        for mapping in mappings
    }


def _convert_head(
    head: Tensor | None, embedding: Tensor, hf_config: dict[str, Any], config: ModelConfig
) -> Tensor:
    """Return the output layer of a model whose embeddings are not tied."""
    weight = embedding.clone() if head is None else head.float()
    # A separate head after a scaled output: the scale becomes part of the head.
    return weight * config.d_model**-0.5 if scales_output(hf_config) else weight


def _check_tensors(state: dict[str, Tensor], model: T5, source: Path) -> None:
    for name, expected in model.state_dict().items():
        if state[name].shape != expected.shape:
            raise CorruptCheckpoint(
                f"{source}: {name} has shape {tuple(state[name].shape)}, but config.json implies "
                f"{tuple(expected.shape)}"
            )
        if not torch.isfinite(state[name]).all():
            raise CorruptCheckpoint(f"{source}: {name} has values that are not finite")
