"""Model configurations of release 0.1.0 in the config.json of registered weights."""

from __future__ import annotations

from typing import Any

from models.errors import ConfigError

RENAMED_MODEL_FIELDS = {
    "tie_logits": "tie_word_embeddings",
    "relative_buckets": "relative_attention_num_buckets",
    "relative_max_distance": "relative_attention_max_distance",
}
RENAMED_MOE_FIELDS = {
    "k": "top_k",
    "decoder_k": "decoder_top_k",
    "every": "moe_every",
    "balance_loss": "load_balance_loss_weight",
    "z_loss": "z_loss_weight",
}
"""Field of release 0.1.0 -> present field, here of `MoEConfig`, above of `ModelConfig`.

The values of the fields and the tensors are unchanged.
"""
CONVENTIONS_0_1_0 = {"capacity_per": "assignment", "router_loss_reduction": "sum"}
"""Conventions of release 0.1.0 that had no field."""


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """Return a model configuration with the present fields; unknown keys stay as they are.

    Raises:
        ConfigError: the model has ST-MoE's dense layer beside the experts, as in release 0.1.0.
    """
    upgraded = {RENAMED_MODEL_FIELDS.get(name, name): value for name, value in data.items()}
    if isinstance(upgraded.get("moe"), dict):
        moe = {RENAMED_MOE_FIELDS.get(name, name): v for name, v in upgraded["moe"].items()}
        is_dense_beside = [moe.pop(name, False) for name in ("dense_beside", "dense_residual")]
        if any(is_dense_beside):
            raise ConfigError(
                "the model has a dense layer beside its experts (release 0.1.0); ST-MoE's layer "
                "comes after them with a norm of its own, so the weights cannot be converted; "
                "train the run again"
            )
        if "capacity_per" not in moe:
            moe = CONVENTIONS_0_1_0 | moe
        upgraded["moe"] = moe
    return upgraded
