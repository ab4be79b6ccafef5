"""Mapping between this project's tensor names and Hugging Face's, for T5 and SwitchTransformers.

A stacked tensor `[E, D, F]` here corresponds to E matrices `[F, D]` there, one per expert.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from models.config import ModelConfig

EMBEDDING_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Copies of `shared.weight` in some checkpoints."""
UNUSED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)
"""Tensors of early T5 checkpoints that no model reads."""


@dataclass(frozen=True)
class TensorMapping:
    """One tensor of this project, and the tensors of Hugging Face that hold the same values."""

    name: str
    hf_names: tuple[str, ...]
    """A single name, or one per expert."""
    is_stacked: bool = False
    """The tensor is `[E, D, F]`, and each of Hugging Face's is `[F, D]`."""

    def from_hf(self, hf_tensors: list[Tensor]) -> Tensor:
        """Convert Hugging Face's tensors.

        Args:
            hf_tensors: tensors in the order of `hf_names`.
        """
        if not self.is_stacked:
            return hf_tensors[0]
        return torch.stack([tensor.t() for tensor in hf_tensors])

    def to_hf(self, tensor: Tensor) -> dict[str, Tensor]:
        """Convert to Hugging Face's tensors, by name.

        Args:
            tensor: tensor of this project.
        """
        if not self.is_stacked:
            return {self.hf_names[0]: tensor.contiguous()}
        experts = tensor.unbind(0)
        return {
            hf_name: expert.t().contiguous()
            for hf_name, expert in zip(self.hf_names, experts, strict=True)
        }


def tensor_mappings(config: ModelConfig) -> Iterator[TensorMapping]:
    """Yield the mappings of all tensors except the head, which can be tied or scaled."""
    yield TensorMapping("embedding", ("shared.weight",))
    for stack in ("encoder", "decoder"):
        yield TensorMapping(f"{stack}.norm.weight", (f"{stack}.final_layer_norm.weight",))
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield TensorMapping(f"{stack}.position_bias.weight", (bias,))
        for i in range(config.num_layers):
            yield from _block_mappings(config, stack, i)


def _block_mappings(config: ModelConfig, stack: str, i: int) -> Iterator[TensorMapping]:
    prefix, hf_prefix = f"{stack}.blocks.{i}", f"{stack}.block.{i}.layer"
    attentions = [("attention", "attention_norm", "SelfAttention")]
    if stack == "decoder":
        attentions.append(("cross_attention", "cross_norm", "EncDecAttention"))
    for layer, (name, norm, hf_name) in enumerate(attentions):
        hf_layer = f"{hf_prefix}.{layer}"
        yield TensorMapping(f"{prefix}.{norm}.weight", (f"{hf_layer}.layer_norm.weight",))
        for matrix in "qkvo":
            yield TensorMapping(
                f"{prefix}.{name}.{matrix}", (f"{hf_layer}.{hf_name}.{matrix}.weight",)
            )
    hf_layer = f"{hf_prefix}.{len(attentions)}"
    yield TensorMapping(f"{prefix}.feed_forward_norm.weight", (f"{hf_layer}.layer_norm.weight",))
    if i in config.moe_layers():
        yield from _moe_mappings(config, f"{prefix}.feed_forward", f"{hf_layer}.mlp")
        return
    # SwitchTransformers names its dense layers mlp, too.
    hf_module = "mlp" if config.moe is not None else "DenseReluDense"
    gated = config.activation == "gated_gelu"
    matrices = {"wi": "wi_0", "wg": "wi_1", "wo": "wo"} if gated else {"wi": "wi", "wo": "wo"}
    for matrix, hf_matrix in matrices.items():
        yield TensorMapping(
            f"{prefix}.feed_forward.{matrix}", (f"{hf_layer}.{hf_module}.{hf_matrix}.weight",)
        )


def _moe_mappings(config: ModelConfig, prefix: str, hf_prefix: str) -> Iterator[TensorMapping]:
    assert config.moe is not None
    yield TensorMapping(f"{prefix}.router.weight", (f"{hf_prefix}.router.classifier.weight",))
    for matrix, hf_matrix in (("wi_EDF", "wi"), ("wo_EFD", "wo")):
        hf_names = (
            f"{hf_prefix}.experts.expert_{e}.{hf_matrix}.weight"
            for e in range(config.moe.num_experts)
        )
        yield TensorMapping(f"{prefix}.experts.{matrix}", tuple(hf_names), is_stacked=True)
