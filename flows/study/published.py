"""Published figures that reports show beside their own results, each with its source.

Figures of other models, data and sizes: they are never compared with a study's own by a test.
"""

from __future__ import annotations

from dataclasses import dataclass

FLAN_MOE = "Shen et al., FLAN-MoE, arXiv 2305.14705"
CHUNG = "Chung et al., Scaling Instruction-Finetuned Language Models, arXiv 2210.11416"


@dataclass(frozen=True, kw_only=True)
class PublishedFigure:
    """A figure of a publication."""

    text: str
    value: str
    source: str


PUBLISHED = {
    "flan_moe_over_dense": PublishedFigure(
        text="FLAN-MoE over dense models of similar FLOPs, MMLU-Direct, on average",
        value="+7.1 points",
        source=FLAN_MOE,
    ),
    "flan_st_32b_gain": PublishedFigure(
        text="FLAN-ST-32B: relative gain from instruction tuning (FLAN-PaLM-62B: 6.6 %)",
        value="45.2 %",
        source=FLAN_MOE,
    ),
    "flan_st_32b_mmlu_bbh": PublishedFigure(
        text="FLAN-ST-32B: MMLU few-shot / BBH few-shot", value="65.4 / 54.4", source=FLAN_MOE
    ),
    "flan_st_32b_compute": PublishedFigure(
        text="FLAN-ST-32B: compute per token, under 30 % of FLAN-PaLM-62B's",
        value="32.1 GFLOPs",
        source=FLAN_MOE,
    ),
    "freezing_gate": PublishedFigure(
        text="Freezing only the gate; freezing experts or MoE layers hurts",
        value="+0.3 to +0.4",
        source=FLAN_MOE,
    ),
    "ec_base_losses": PublishedFigure(
        text="EC-base: balance loss / z-loss", value="+0.6 / −0.9", source=FLAN_MOE
    ),
    "st_base_losses": PublishedFigure(
        text="ST-base: balance loss / z-loss", value="−1.6 / +0.3", source=FLAN_MOE
    ),
    "flan_t5_base": PublishedFigure(
        text="T5-Base, MMLU direct, before and after instruction tuning",
        value="25.7 → 35.9",
        source=CHUNG,
    ),
    "flan_t5_xxl": PublishedFigure(
        text="T5-XXL, MMLU direct, before and after instruction tuning",
        value="25.9 → 55.1",
        source=CHUNG,
    ),
    "bits_per_parameter": PublishedFigure(
        text="Most bits of knowledge that language models are known to store",
        value="2 bits a parameter",
        source="Allen-Zhu and Li, arXiv 2404.05405",
    ),
}
"""By the name that a study's `published` has."""
