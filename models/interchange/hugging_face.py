"""Checkpoints in Hugging Face's format: config.json and safetensors, sharded or not."""

from __future__ import annotations

import json
import shutil
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
from models.interchange.configuration import from_theirs, scales_output, to_theirs
from models.interchange.names import DUPLICATES, UNUSED, pairs
from models.weights import load_weights, save_weights

HEAD, EMBEDDING = "lm_head.weight", "shared.weight"


def import_folder(source: Path, target: Path) -> ModelConfig:
    """Writes weights of ours to `target`; spiece.model, if there is one, goes with them.

    Raises UnknownModel, ConfigError (another architecture) or CorruptCheckpoint (a missing, extra,
    misshapen or non-finite tensor, by name) before anything is written.
    """
    model = read_folder(source)
    tokenizer = source / "spiece.model"
    digest = ""
    if tokenizer.is_file():
        digest = sha256(tokenizer)
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tokenizer, target / "spiece.model")
    save_weights(target, model, digest)
    return model.config


def read_folder(source: Path) -> T5:
    """The model in a Hugging Face folder, in float32. Raises as `import_folder` does."""
    if not (source / "config.json").is_file():
        raise UnknownModel(f"{source} holds no config.json: it is no Hugging Face checkpoint")
    try:
        theirs = json.loads((source / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptCheckpoint(f"{source / 'config.json'} cannot be read: {error}") from None
    state = _read_tensors(source)
    _fill_shared(state)
    head = state.pop(HEAD, None)
    separate = head is not None and not torch.equal(head, state.get(EMBEDDING, head[:0]))
    try:
        config = from_theirs(theirs, separate_head=separate)
    except ConfigError as error:
        raise ConfigError(f"{source / 'config.json'}: {error}") from None
    with torch.device("meta"):
        model = T5(config)
    ours = _rename(state, config, source)
    if not config.tie_word_embeddings:
        ours["head"] = _head(head, ours["embedding"], theirs, config)
    _check(ours, model, source)
    model.load_state_dict(ours, assign=True)
    return model


def export_folder(source: Path, target: Path) -> list[str]:
    """Writes a folder for `from_pretrained`; what could not be said in it, a line each.

    Raises ConfigError where transformers has no class for the model.
    """
    model = load_weights(source).model
    theirs, lost = to_theirs(model.config)
    ours = model.state_dict()
    state: dict[str, Tensor] = {}
    for pair in pairs(model.config):
        state |= pair.to_theirs(ours[pair.ours])
    if not model.config.tie_word_embeddings:
        state[HEAD] = ours["head"].contiguous()
    write_bytes(target / "model.safetensors", save(state, metadata={"format": "pt"}))
    tokenizer = source / "spiece.model"
    if tokenizer.is_file():
        shutil.copyfile(tokenizer, target / "spiece.model")
    write_json(target / "config.json", theirs)
    return lost


def _read_tensors(source: Path) -> dict[str, Tensor]:
    """All tensors of one file, or of the shards that the index names."""
    index = source / "model.safetensors.index.json"
    try:
        if index.is_file():
            listed: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            files = [source / Path(name).name for name in sorted(set(listed.values()))]
        else:
            listed, files = {}, [source / "model.safetensors"]
        state: dict[str, Tensor] = {}
        for file in files:
            if not file.is_file():
                raise UnknownModel(
                    f"{file} is missing; weights are read from safetensors only, not from pickles"
                )
            state |= _load(file)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptCheckpoint(f"{index} cannot be read: {error}") from None
    absent = sorted(set(listed) - set(state))
    if absent:
        raise CorruptCheckpoint(f"{index} lists {absent[0]}, which no shard holds")
    return state


def _load(file: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (SafetensorError, OSError) as error:
        raise CorruptCheckpoint(
            f"{file} cannot be read ({error}): it was cut or changed; fetch it again"
        ) from None
    return tensors


def _fill_shared(state: dict[str, Tensor]) -> None:
    """The embedding under one name."""
    for name in DUPLICATES:
        tensor = state.pop(name, None)
        if tensor is not None:
            state.setdefault(EMBEDDING, tensor)
    for name in UNUSED:
        state.pop(name, None)


def _rename(state: dict[str, Tensor], config: ModelConfig, source: Path) -> dict[str, Tensor]:
    """Their tensors under our names, in float32. Raises for one too many or too few."""
    wanted = list(pairs(config))
    missing = [name for pair in wanted for name in pair.theirs if name not in state]
    if missing:
        raise CorruptCheckpoint(
            f"{source}: {len(missing)} tensor(s) are missing, first {missing[0]}"
        )
    extra = sorted(set(state) - {name for pair in wanted for name in pair.theirs})
    if extra:
        raise CorruptCheckpoint(
            f"{source}: {len(extra)} tensor(s) have no place in this architecture, first {extra[0]}"
        )
    return {p.ours: p.to_ours([state[name].float() for name in p.theirs]) for p in wanted}


def _head(
    head: Tensor | None, embedding: Tensor, theirs: dict[str, Any], config: ModelConfig
) -> Tensor:
    """The output layer of a model of ours that does not share it with the embedding."""
    made = embedding.clone() if head is None else head.float()
    # A separate head behind a scaled output: the scale moves into the head.
    return made * config.d_model**-0.5 if scales_output(theirs) else made


def _check(ours: dict[str, Tensor], model: T5, source: Path) -> None:
    for name, expected in model.state_dict().items():
        if ours[name].shape != expected.shape:
            raise CorruptCheckpoint(
                f"{source}: {name} has shape {tuple(ours[name].shape)}, config.json asks for "
                f"{tuple(expected.shape)}"
            )
        if not torch.isfinite(ours[name]).all():
            raise CorruptCheckpoint(f"{source}: {name} holds values that are not finite")
