"""Sparse upcycling: an MoE model that starts from a trained dense one.

Komatsuzaki et al., arXiv 2212.05055: every expert starts as the dense feed-forward layer it
replaces, the router from random weights, everything else as it was.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from torch import Tensor

from models.architecture.moe.routers.checks import check_routers
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import ConfigError
from models.weights import load_weights, save_weights


def upcycle_folder(source: Path, config: ModelConfig, target: Path, seed: int) -> ModelConfig:
    """Writes the MoE model `config` made from the dense weights in `source` to `target`."""
    saved = load_weights(source)
    model = upcycle(saved.model, config, seed)
    save_weights(target, model, saved.tokenizer_sha256)
    return model.config


def upcycle(dense: T5, config: ModelConfig, seed: int) -> T5:
    """The MoE model of `config`, with the vocabulary and dropout of `dense`.

    With normalised gates (gshard) and no token dropped it computes what `dense` did; with others
    an MoE layer's output starts smaller, by the gates' sum. A dense layer beside the experts starts
    at zero output, so that it changes nothing. Raises ConfigError where the sizes differ.
    """
    wanted = dataclasses.replace(
        config, vocab_size=dense.config.vocab_size, dropout=dense.config.dropout
    )
    if wanted.moe is None or dense.config.moe is not None:
        raise ConfigError("upcycling makes an MoE model from a dense one")
    check_routers(wanted)
    twin = wanted.dense_twin()
    differ = [
        f"{field.name} {getattr(dense.config, field.name)} against {getattr(twin, field.name)}"
        for field in dataclasses.fields(twin)
        if getattr(dense.config, field.name) != getattr(twin, field.name)
    ]
    if differ:
        raise ConfigError(f"the dense model is of other sizes than the MoE: {', '.join(differ)}")
    model = T5(wanted).reset_parameters(seed)
    state = dict(dense.state_dict())
    for name, layer in model.moe_layers().items():
        for ours, theirs in (("wi", "wi_EDF"), ("wg", "wg_EDF"), ("wo", "wo_EFD")):
            weight: Tensor | None = state.pop(f"{name}.{ours}", None)
            if weight is not None:
                experts = weight.t().expand(wanted.moe.num_experts, -1, -1)
                state[f"{name}.experts.{theirs}"] = experts
                if layer.dense is not None:
                    beside = weight * 0 if ours == "wo" else weight
                    state[f"{name}.dense.{ours}"] = beside
        state[f"{name}.router.weight"] = layer.router.weight.detach()
    model.load_state_dict(state)
    return model
