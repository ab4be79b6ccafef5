"""Final weights on disk: model.safetensors and config.json in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from data_pipelines.files import sha256, write_bytes, write_json
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import CorruptCheckpoint, UnknownModel
from models.training.chain import TrainingChain

DEFAULT_INPUT_TOKENS = 512
"""Longest input of weights that do not say it: T5's."""


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model with the hash of the tokenizer it was trained with."""

    model: T5
    tokenizer_sha256: str
    """Empty for a checkpoint that an earlier release imported without a tokenizer."""
    max_input_tokens: int | None
    """Encoder length of its training, or the own limit of an imported model; None if unknown."""


def save_weights(
    folder: Path,
    model: T5,
    tokenizer_sha256: str,
    state: dict[str, Tensor] | None = None,
    chain: TrainingChain | None = None,
    *,
    max_input_tokens: int | None = None,
) -> None:
    """Write the weights, then the configuration, which marks the folder as complete.

    Args:
        folder: target folder.
        model: model whose configuration is written.
        tokenizer_sha256: hash of the tokenizer file; empty without one.
        state: full state dict of a sharded model; None: that of `model`.
        chain: runs that trained the weights; None for imported weights.
        max_input_tokens: longest input, in tokens; None if unknown.
    """
    full_state = model.state_dict() if state is None else state
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in full_state.items()}
    write_bytes(folder / "model.safetensors", save(tensors))
    write_json(
        folder / "config.json",
        {
            "model": model.config.to_dict(),
            "tokenizer_sha256": tokenizer_sha256,
            "max_input_tokens": max_input_tokens,
            "weights_sha256": sha256(folder / "model.safetensors"),
            "training_chain": None if chain is None else chain.to_dict(),
        },
    )


def is_imported(folder: Path) -> bool:
    """Return whether the weights in a folder bring their own tokenizer.

    They were imported, or derive from imported ones without training: nothing of this workspace's
    training data is in them.
    """
    return (folder / "spiece.model").is_file()


def hash_weights(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder of weights, by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def load_weights(
    folder: Path, adapt: Callable[[ModelConfig], ModelConfig] = lambda config: config
) -> LoadedModel:
    """Load the weights of a folder, written by this or an earlier release.

    Args:
        folder: folder with model.safetensors and config.json.
        adapt: changes the configuration before the model is built; must not change tensor shapes.

    Raises:
        UnknownModel: the folder has no config.json.
        CorruptCheckpoint: a file is unreadable, or a tensor is missing, unexpected, of another
            shape or not finite.
    """
    if not (folder / "config.json").is_file():
        raise UnknownModel(f"{folder} has no trained model; train it first (`flanmoe run`)")
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = adapt(ModelConfig.from_dict(description["model"]))
        tokenizer_sha256 = str(description["tokenizer_sha256"])
        max_input_tokens = description.get("max_input_tokens")
    except (ValueError, KeyError) as error:
        raise CorruptCheckpoint(f"{folder / 'config.json'} cannot be read: {error}") from None
    path = folder / "model.safetensors"
    model = T5(config)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CorruptCheckpoint(
            f"{path} cannot be read ({error}): it is truncated or altered; delete {folder.parent} "
            "and train again, or restore it with `dvc checkout`"
        ) from None
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    mismatches = sorted(set(expected) ^ set(state))
    mismatches += sorted(n for n in set(expected) & set(state) if expected[n] != state[n].shape)
    if mismatches:
        raise CorruptCheckpoint(
            f"{path} is of another architecture: {len(mismatches)} tensor(s) differ, "
            f"first {mismatches[0]}"
        )
    not_finite = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if not_finite:
        raise CorruptCheckpoint(f"{path}: {not_finite[0]} has values that are not finite")
    model.load_state_dict(state)
    return LoadedModel(
        model=model, tokenizer_sha256=tokenizer_sha256, max_input_tokens=max_input_tokens
    )
