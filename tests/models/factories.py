"""Small model configurations, and one in the form of release 0.1.0."""

import json

from models.config import ModelConfig

TINY_SIZES = {"vocab_size": 8, "d_model": 8, "d_ff": 8, "num_heads": 1, "d_kv": 8, "num_layers": 2}

CONFIG_0_1_0 = json.loads("""
{
 "activation": "relu", "d_ff": 256, "d_kv": 32, "d_model": 128, "dropout": 0.0,
 "moe": {
  "balance_loss": 0.01, "batch_priority": false, "capacity_factor_eval": 1.0,
  "capacity_factor_train": 1.0, "decoder_k": 2, "decoder_router": "st_moe",
  "dense_beside": false, "every": 2, "expert_dropout": 0.0, "group_rows": 1,
  "jitter": 0.0, "k": 1, "min_capacity": 4, "num_experts": 8,
  "router": "expert_choice", "z_loss": 0.0
 },
 "num_heads": 4, "num_layers": 2, "relative_buckets": 32, "relative_max_distance": 128,
 "tie_logits": false, "vocab_size": 1024
}
""")
"""`model` in the config.json of weights that release 0.1.0 wrote for its preset tiny_ec."""


def tiny_config(**overrides):
    """A configuration of two small blocks."""
    return ModelConfig(**{**TINY_SIZES, **overrides})
