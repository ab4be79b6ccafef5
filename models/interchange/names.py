"""Our tensor names and Hugging Face's, for T5 and SwitchTransformers.

A stacked tensor of ours `[E, D, F]` is E matrices `[F, D]` of theirs, one an expert.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from models.config import ModelConfig

DUPLICATES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Copies of `shared.weight` that some checkpoints hold as well."""
UNUSED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)
"""In early T5 checkpoints; no model reads it."""


@dataclass(frozen=True)
class Pair:
    """One tensor of ours; theirs is one tensor, or one an expert."""

    ours: str
    theirs: tuple[str, ...]
    stacked: bool = False

    def to_ours(self, tensors: list[Tensor]) -> Tensor:
        if not self.stacked:
            return tensors[0]
        return torch.stack([tensor.t() for tensor in tensors])

    def to_theirs(self, tensor: Tensor) -> dict[str, Tensor]:
        if not self.stacked:
            return {self.theirs[0]: tensor.contiguous()}
        parts = tensor.unbind(0)
        return {name: t.t().contiguous() for name, t in zip(self.theirs, parts, strict=True)}


def pairs(config: ModelConfig) -> Iterator[Pair]:
    """All tensors but the head, which may be tied or scaled."""
    yield Pair("embedding", ("shared.weight",))
    for stack in ("encoder", "decoder"):
        yield Pair(f"{stack}.norm.weight", (f"{stack}.final_layer_norm.weight",))
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield Pair(f"{stack}.position_bias.weight", (bias,))
        for i in range(config.num_layers):
            yield from _block(config, stack, i)


def _block(config: ModelConfig, stack: str, i: int) -> Iterator[Pair]:
    here, there = f"{stack}.blocks.{i}", f"{stack}.block.{i}.layer"
    attentions = [("attention", "attention_norm", "SelfAttention")]
    if stack == "decoder":
        attentions.append(("cross_attention", "cross_norm", "EncDecAttention"))
    for place, (name, norm, theirs) in enumerate(attentions):
        yield Pair(f"{here}.{norm}.weight", (f"{there}.{place}.layer_norm.weight",))
        for matrix in "qkvo":
            yield Pair(f"{here}.{name}.{matrix}", (f"{there}.{place}.{theirs}.{matrix}.weight",))
    last = f"{there}.{len(attentions)}"
    yield Pair(f"{here}.feed_forward_norm.weight", (f"{last}.layer_norm.weight",))
    if i in config.moe_layers():
        yield from _experts(config, f"{here}.feed_forward", f"{last}.mlp")
        return
    # SwitchTransformers calls its dense layers mlp, too.
    inside = "mlp" if config.moe is not None else "DenseReluDense"
    gated = config.activation == "gated_gelu"
    names = {"wi": "wi_0", "wg": "wi_1", "wo": "wo"} if gated else {"wi": "wi", "wo": "wo"}
    for ours, theirs in names.items():
        yield Pair(f"{here}.feed_forward.{ours}", (f"{last}.{inside}.{theirs}.weight",))


def _experts(config: ModelConfig, here: str, there: str) -> Iterator[Pair]:
    assert config.moe is not None
    yield Pair(f"{here}.router.weight", (f"{there}.router.classifier.weight",))
    for ours, theirs in (("wi_EDF", "wi"), ("wo_EFD", "wo")):
        names = (
            f"{there}.experts.expert_{e}.{theirs}.weight" for e in range(config.moe.num_experts)
        )
        yield Pair(f"{here}.experts.{ours}", tuple(names), stacked=True)
