"""Sources of the values in the presets: which paper or code has each convention."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from models.config import ModelConfig
from models.presets import preset

FLAXFORMER = "google/flaxformer, t5x/configs/moe"
T5 = "Raffel et al., arXiv 1910.10683"
T5X = "google-research/t5x, examples/t5/network.py"
SWITCH = "Fedus et al., arXiv 2101.03961"
GSHARD = "Lepikhin et al., arXiv 2006.16668"
ST_MOE = "Zoph et al., arXiv 2202.08906"
EXPERT_CHOICE = "Zhou et al., arXiv 2202.09368"
FLAN_MOE = "Shen et al., arXiv 2305.14705"
PROJECT = "this project"
UNCONFIRMED = "not confirmed"

FAMILY_SOURCES = {
    "t5": T5,
    "switch": f"{SWITCH}; {FLAXFORMER}",
    "gs": f"{FLAN_MOE}, at the Switch sizes; {UNCONFIRMED}",
    "st": f"{ST_MOE}; {FLAXFORMER}",
    "ec": f"{EXPERT_CHOICE}; {FLAXFORMER}",
    "tiny": PROJECT,
}
"""Family, the first part of a preset's name -> source of its sizes."""

FIELD_SOURCES: dict[str, dict[str, str]] = {
    "activation": {},
    "tie_word_embeddings": {"gs": f"{T5}, v1.1; {UNCONFIRMED}"},
    "relative_attention_num_buckets": {"*": T5},
    "relative_attention_max_distance": {"*": T5},
    "dropout": {
        "*": f"{FLAN_MOE}; {UNCONFIRMED}",
        "t5": "Chung et al., arXiv 2210.11416 (Flan-T5)",
        "tiny": PROJECT,
    },
    "dropout_shared_along_length": {"t5": T5X, "*": FLAXFORMER, "tiny": PROJECT},
    "init_scale": {"t5": T5X, "gs": FLAXFORMER, "*": FLAXFORMER, "tiny": T5X},
    "moe.num_experts": {},
    "moe.router": {"gs": GSHARD},
    "moe.top_k": {"gs": GSHARD},
    "moe.decoder_router": {"ec": FLAXFORMER},
    "moe.decoder_top_k": {"ec": FLAXFORMER},
    "moe.moe_every": {},
    "moe.capacity_per": {"*": f"{SWITCH}, eq. 3; {GSHARD}, section 2.2; {FLAXFORMER}"},
    "moe.capacity_factor_train": {"gs": f"{GSHARD}, section 2.2"},
    "moe.capacity_factor_eval": {"gs": f"{GSHARD}, section 2.2"},
    "moe.decoder_capacity_factor_train": {"*": FLAXFORMER, "tiny": PROJECT},
    "moe.decoder_capacity_factor_eval": {"*": FLAXFORMER, "tiny": PROJECT},
    "moe.min_capacity": {"*": FLAXFORMER},
    "moe.group_tokens": {"*": FLAXFORMER, "tiny": PROJECT},
    "moe.group_rows": {"*": FLAXFORMER, "tiny": PROJECT},
    "moe.batch_priority": {"*": FLAXFORMER, "gs": GSHARD, "tiny": PROJECT},
    "moe.normalize_gates": {"gs": f"{GSHARD}, algorithm 1", "*": FLAXFORMER},
    "moe.second_expert_threshold": {"gs": f"{GSHARD}, algorithm 1", "*": FLAXFORMER},
    "moe.dense_after_moe": {"*": FLAXFORMER},
    "moe.load_balance_loss_weight": {"*": FLAXFORMER},
    "moe.decoder_load_balance_loss_weight": {"*": FLAXFORMER},
    "moe.load_balance_loss_choices": {"*": FLAXFORMER, "gs": f"{GSHARD}, algorithm 1"},
    "moe.z_loss_weight": {"st": f"{ST_MOE}, eq. 5; {FLAXFORMER}", "*": FLAXFORMER},
    "moe.router_loss_reduction": {"*": "google-research/t5x, contrib/moe/models.py"},
    "moe.expert_dropout": {
        "*": f"{FLAN_MOE}; {UNCONFIRMED}",
        "switch": f"{SWITCH}, section 2.4 (0.4 there; 0.2 in {FLAN_MOE}, {UNCONFIRMED})",
        "tiny": PROJECT,
    },
    "moe.jitter": {"*": FLAXFORMER},
}
"""Field -> family -> source, `*` for all other families; without either, the family's source."""


@dataclass(frozen=True, kw_only=True)
class SourcedValue:
    """One field of a preset with the source of its value."""

    field: str
    value: object
    source: str


def sourced_values(name: str) -> list[SourcedValue]:
    """Return every field of a preset with its source.

    Raises:
        UnknownModel: no preset has this name.
    """
    family = name.split("_")[0]
    values = []
    for field, value in _fields(preset(name)).items():
        by_family = FIELD_SOURCES.get(field, {})
        default = by_family.get("*", FAMILY_SOURCES[family])
        source = by_family.get(family, default)
        values.append(SourcedValue(field=field, value=value, source=source))
    return values


def _fields(config: ModelConfig) -> dict[str, object]:
    """Return the fields of a configuration in their order, those of the MoE layers last."""
    flat = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.name != "moe"}
    if config.moe is not None:
        moe = config.moe
        flat |= {f"moe.{f.name}": getattr(moe, f.name) for f in dataclasses.fields(moe)}
    return flat
