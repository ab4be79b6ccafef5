"""Field names of release 0.1.0 in the config.json of registered weights."""

from __future__ import annotations

from typing import Any

RENAMED_MODEL_FIELDS = {
    "tie_logits": "tie_word_embeddings",
    "relative_buckets": "relative_attention_num_buckets",
    "relative_max_distance": "relative_attention_max_distance",
}
RENAMED_MOE_FIELDS = {
    "k": "top_k",
    "decoder_k": "decoder_top_k",
    "every": "moe_every",
    "dense_beside": "dense_residual",
    "balance_loss": "load_balance_loss_weight",
    "z_loss": "z_loss_weight",
}
"""Field of release 0.1.0 -> present field, here of `MoEConfig`, above of `ModelConfig`.

The values of the fields and the tensors are unchanged.
"""


def with_present_names(data: dict[str, Any]) -> dict[str, Any]:
    """Return a model configuration with the present field names; unknown keys stay as they are."""
    renamed = {RENAMED_MODEL_FIELDS.get(name, name): value for name, value in data.items()}
    if isinstance(renamed.get("moe"), dict):
        moe: dict[str, Any] = renamed["moe"]
        renamed["moe"] = {RENAMED_MOE_FIELDS.get(name, name): v for name, v in moe.items()}
    return renamed
