"""Sparse upcycling: initialize an MoE model from a trained dense model.

Komatsuzaki et al., arXiv 2212.05055: every expert starts as a copy of the dense feed-forward layer
it replaces, the router from random weights, all other weights unchanged.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from data_pipelines.files import write_bytes
from models.architecture.moe.routers.checks import check_routers
from models.architecture.t5 import T5
from models.config import ModelConfig
from models.errors import ConfigError
from models.interchange.tokenizer import MODEL_FILE
from models.weights import load_weights, save_weights
from models.weights_config import WeightsConfig


def upcycle_folder(source: Path, config: ModelConfig, target: Path, seed: int) -> ModelConfig:
    """Upcycle the dense weights in one folder to an MoE model in another, with its tokenizer.

    Args:
        source: weights folder of a dense model.
        config: configuration of the MoE model; vocabulary and dropout are those of the dense one.
        target: weights folder to write.
        seed: seed of the router weights.

    Returns:
        The configuration of the upcycled model.

    Raises:
        UnknownModel: `source` has no weights.
        CorruptCheckpoint: the weights in `source` cannot be read.
        ConfigError: as `upcycle`.
    """
    dense = load_weights(source)
    model = upcycle(dense.model, config, seed)
    if (source / MODEL_FILE).is_file():
        write_bytes(target / MODEL_FILE, (source / MODEL_FILE).read_bytes())
    save_weights(
        target,
        model,
        dense.tokenizer_sha256,
        chain=WeightsConfig.read(source).chain,
        max_input_tokens=dense.max_input_tokens,
    )
    return model.config


def upcycle(dense: T5, config: ModelConfig, seed: int) -> T5:
    """Build the MoE model of `config` with the vocabulary, dropout and weights of a dense model.

    In evaluation, with a top-2 router, `normalize_gates` and no dropped token, outputs equal those
    of `dense`; otherwise the output of an MoE layer is multiplied by the sum of the gates. With
    `dense_after_moe` the dense layer after the experts starts with zero output.

    Args:
        dense: trained dense model.
        config: configuration of the MoE model.
        seed: seed of the router weights.

    Raises:
        ConfigError: `config` is dense, `dense` is not, their sizes differ, or a router does not
            support its top_k or its stack.
    """
    moe_config = dataclasses.replace(
        config, vocab_size=dense.config.vocab_size, dropout=dense.config.dropout
    )
    if moe_config.moe is None or dense.config.moe is not None:
        raise ConfigError("upcycling converts a dense model to an MoE model")
    check_routers(moe_config)
    expected = moe_config.dense_twin().with_training_settings_of(dense.config)
    differences = [
        f"{field.name} {getattr(dense.config, field.name)} instead of "
        f"{getattr(expected, field.name)}"
        for field in dataclasses.fields(expected)
        if getattr(dense.config, field.name) != getattr(expected, field.name)
    ]
    if differences:
        raise ConfigError(f"the dense model has other sizes than the MoE: {', '.join(differences)}")
    model = T5(moe_config).reset_parameters(seed)
    state = dict(dense.state_dict())
    for name, layer in model.moe_layers().items():
        for matrix, stacked in (("wi", "wi_EDF"), ("wg", "wg_EDF"), ("wo", "wo_EFD")):
            weight: Tensor | None = state.pop(f"{name}.{matrix}", None)
            if weight is not None:
                experts = weight.t().expand(moe_config.moe.num_experts, -1, -1)
                state[f"{name}.experts.{stacked}"] = experts
        state[f"{name}.router.weight"] = layer.router.weight.detach()
    # ST-MoE's extra layers keep their random input projections.
    own_state = model.state_dict()
    for name in own_state.keys() - state.keys():
        is_output = name.endswith(".extra_feed_forward.wo")
        state[name] = torch.zeros_like(own_state[name]) if is_output else own_state[name]
    model.load_state_dict(state)
    return model
