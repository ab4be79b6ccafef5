"""config.json beside the weights: the model, and the runs that trained it. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.config import ModelConfig
from models.errors import ConfigError, CorruptCheckpoint, UnknownModel
from models.training.chain import TrainingChain


@dataclass(frozen=True, kw_only=True)
class WeightsConfig:
    """Content of config.json as far as sizes and costs need it."""

    model: ModelConfig
    chain: TrainingChain
    """Weights without a chain were imported, or trained by release 0.1.0: their cost is unknown."""

    @classmethod
    def read(cls, folder: Path) -> WeightsConfig:
        """Read the config.json of a weights folder.

        Raises:
            UnknownModel: the folder has no config.json.
            CorruptCheckpoint: config.json cannot be read.
        """
        path = folder / "config.json"
        if not path.is_file():
            raise UnknownModel(f"{folder} has no trained model; train it first (`flanmoe run`)")
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            chain = data.get("training_chain") or {"origin": data["weights_sha256"], "runs": []}
            return cls(
                model=ModelConfig.from_dict(data["model"]), chain=TrainingChain.from_dict(chain)
            )
        except (ConfigError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptCheckpoint(f"{path} cannot be read: {error}") from None
