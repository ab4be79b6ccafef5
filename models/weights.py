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


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A model read back, and the tokenizer it was trained with."""

    model: T5
    tokenizer_sha256: str


def save_weights(
    folder: Path, model: T5, tokenizer_sha256: str, state: dict[str, Tensor] | None = None
) -> None:
    """Writes both files, the configuration last: a folder without it is not finished.

    `state`: the whole weights of a model that is spread over processes.
    """
    found = model.state_dict() if state is None else state
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}
    write_bytes(folder / "model.safetensors", save(state))
    write_json(
        folder / "config.json",
        {
            "model": model.config.to_dict(),
            "tokenizer_sha256": tokenizer_sha256,
            "weights_sha256": sha256(folder / "model.safetensors"),
        },
    )


def load_weights(
    folder: Path, adapt: Callable[[ModelConfig], ModelConfig] = lambda config: config
) -> Saved:
    """`adapt` may change how the model computes, not its tensors.

    Raises UnknownModel if there is none, CorruptCheckpoint naming file and tensor.
    """
    if not (folder / "config.json").is_file():
        raise UnknownModel(f"{folder} holds no trained model; train it first (`flanmoe run`)")
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config = adapt(ModelConfig.from_dict(description["model"]))
        tokenizer = str(description["tokenizer_sha256"])
    except (ValueError, KeyError) as error:
        raise CorruptCheckpoint(f"{folder / 'config.json'} cannot be read: {error}") from None
    path = folder / "model.safetensors"
    model = T5(config)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CorruptCheckpoint(
            f"{path} cannot be read ({error}): it was cut or changed; delete {folder.parent} and "
            "train again, or restore it with `dvc checkout`"
        ) from None
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    wrong = sorted(set(expected) ^ set(state))
    wrong += sorted(n for n in set(expected) & set(state) if expected[n] != state[n].shape)
    if wrong:
        raise CorruptCheckpoint(
            f"{path} is of another architecture: {len(wrong)} tensor(s) differ, first {wrong[0]}"
        )
    broken = [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CorruptCheckpoint(f"{path}: {broken[0]} holds values that are not finite")
    model.load_state_dict(state)
    return Saved(model=model, tokenizer_sha256=tokenizer)
