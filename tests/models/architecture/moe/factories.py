"""Small MoE configurations and layers."""

import importlib.util

import torch

from models.architecture.moe.layer import MoELayer
from models.config import ModelConfig, MoEConfig

TOP_K_BY_ROUTER = {"switch": 1, "gshard": 2, "st_moe": 2, "expert_choice": 1}
HAS_TUTEL = importlib.util.find_spec("tutel") is not None
INSTALLED_BACKENDS = ["native", "fairscale"] + (["tutel"] if HAS_TUTEL else [])


def moe_model_config(
    router="switch",
    num_experts=4,
    capacity_factor=None,
    activation="relu",
    d_model=8,
    d_ff=16,
    **moe_fields,
):
    """A model of two blocks with the same capacity factor in training and evaluation."""
    defaults = {"top_k": TOP_K_BY_ROUTER[router], "min_capacity": 1, "expert_dropout": 0.0}
    return ModelConfig(
        vocab_size=8,
        d_model=d_model,
        d_ff=d_ff,
        num_heads=1,
        d_kv=8,
        num_layers=2,
        activation=activation,
        moe=MoEConfig(
            num_experts=num_experts,
            router=router,
            capacity_factor_train=capacity_factor,
            capacity_factor_eval=capacity_factor,
            **{**defaults, **moe_fields},
        ),
    )


def build_layer(config, seed=0, router_std=1.0):
    """An encoder's MoE layer; a large `router_std` makes loads uneven and some experts empty."""
    torch.manual_seed(seed)
    layer = MoELayer(config, decoder=False)
    for module in layer.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    torch.nn.init.normal_(layer.router.weight, std=router_std)
    return layer


def all_valid(x_BLD):
    """A mask without padding."""
    return torch.ones(x_BLD.shape[:2], dtype=torch.bool)
