"""FLOPs of training: the forward pass, the backward pass and activation recomputation.

A product y = x W costs as much again for the gradient of W if W is trained, and for the gradient of
x if a trained weight lies before x. With every weight trained, the backward pass thus costs two
forward passes; frozen weights, and activations behind which nothing is trained, cost less.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.config import ModelConfig
from models.cost.flops import expert_rows
from models.training.params import FreezePolicy, RunParams, TrainingParams


@dataclass(frozen=True, kw_only=True)
class TrainingFlops:
    """FLOPs of training."""

    forward: int
    backward: int
    recomputation: int
    """Second forward passes of activation checkpointing; not a part of `total`."""

    @property
    def total(self) -> int:
        """Forward and backward pass: the model FLOPs of which MFU is computed."""
        return self.forward + self.backward


def training_flops(
    config: ModelConfig,
    *,
    encoder_tokens: int,
    decoder_tokens: int,
    rows: int,
    freeze: FreezePolicy | None = None,
    activation_checkpointing: bool = False,
) -> TrainingFlops:
    """Compute the FLOPs to train on `rows` sequences.

    Recomputation is that of complete blocks through which gradients pass. torch ends it once every
    saved tensor exists, which on a GPU without dropout spares the last product of a dense block.

    Args:
        config: model.
        encoder_tokens: input length of a row.
        decoder_tokens: target length of a row.
        rows: number of sequences.
        freeze: parameters that are not trained; see `models.training.freezing`.
        activation_checkpointing: whether blocks are recomputed in the backward pass.
    """
    graph = _Graph(config, freeze)
    memory = graph.stack(encoder_tokens, encoder_tokens, graph.trains_shared, decoder=False)
    x = graph.stack(decoder_tokens, encoder_tokens, graph.trains_shared, memory, decoder=True)
    graph.linear(decoder_tokens, config.d_model, config.vocab_size, x, graph.trains_shared)
    return TrainingFlops(
        forward=rows * graph.forward,
        backward=rows * graph.backward,
        recomputation=rows * graph.recomputation if activation_checkpointing else 0,
    )


def run_training_flops(
    config: ModelConfig,
    run: RunParams,
    training: TrainingParams,
    *,
    encoder_length: int,
    decoder_length: int,
) -> TrainingFlops:
    """Compute the FLOPs of a run alone, without those of the runs it starts from.

    Args:
        config: model that is trained.
        run: steps of the run.
        training: batch size, frozen parameters and activation checkpointing.
        encoder_length: input tokens of a packed row.
        decoder_length: target tokens of a packed row.
    """
    return training_flops(
        config,
        encoder_tokens=encoder_length,
        decoder_tokens=decoder_length,
        rows=run.steps * training.global_batch_size,
        freeze=training.freeze,
        activation_checkpointing=training.activation_checkpointing,
    )


@dataclass
class _Graph:
    """Walks through the products of one sequence in the order of the forward pass.

    Boolean arguments and results say whether a tensor requires a gradient.
    """

    config: ModelConfig
    freeze: FreezePolicy | None
    forward: int = field(default=0, init=False)
    backward: int = field(default=0, init=False)
    recomputation: int = field(default=0, init=False)

    @property
    def trains_shared(self) -> bool:
        """Whether the weights outside of the MoE layers are trained."""
        return self.freeze is None or not self.freeze.startswith("all_but_")

    def stack(
        self, num_tokens: int, num_inputs: int, x: bool, memory: bool = False, *, decoder: bool
    ) -> bool:
        """Count the blocks of one stack; `num_inputs` and `memory` are the encoder's output."""
        moe_layers = self.config.moe_layers()
        for layer in range(self.config.num_layers):
            forward_before, backward_before = self.forward, self.backward
            x = self._attention(num_tokens, num_tokens, x, x)
            if decoder:
                x = self._attention(num_tokens, num_inputs, x, memory)
            if layer in moe_layers:
                x = self._moe_layer(num_tokens, x, decoder=decoder)
                if self.config.moe is not None and self.config.moe.dense_after_moe:
                    x = self._feed_forward(num_tokens, x, self.trains_shared)
            else:
                x = self._feed_forward(num_tokens, x, self.trains_shared)
            if self.backward > backward_before:
                self.recomputation += self.forward - forward_before
        return x

    def linear(self, rows: float, num_in: int, num_out: int, x: bool, trained: bool) -> bool:
        """Count the product of a `[rows, num_in]` matrix and a weight."""
        return self._product(round(2 * rows * num_in * num_out), x, trained)

    def _product(self, flops: int, a: bool, b: bool) -> bool:
        """Count a product; the gradient of each factor costs one more."""
        self.forward += flops
        self.backward += flops * (a + b)
        return a or b

    def _attention(self, queries: int, keys: int, x: bool, memory: bool) -> bool:
        """Count the attention of `queries` tokens to `keys` tokens."""
        d, inner = self.config.d_model, self.config.num_heads * self.config.d_kv
        q = self.linear(queries, d, inner, x, self.trains_shared)
        k = self.linear(keys, d, inner, memory, self.trains_shared)
        v = self.linear(keys, d, inner, memory, self.trains_shared)
        scores = self._product(2 * inner * queries * keys, q, k)
        y = self._product(2 * inner * queries * keys, scores, v)
        return self.linear(queries, inner, d, y, self.trains_shared) or x

    def _feed_forward(self, rows: float, x: bool, trained: bool) -> bool:
        """Count a feed-forward network: a dense layer, or the experts."""
        d, f = self.config.d_model, self.config.d_ff
        h = False
        for _ in range(2 if self.config.activation == "gated_gelu" else 1):
            h = self.linear(rows, d, f, x, trained)
        return self.linear(rows, f, d, h, trained) or x

    def _moe_layer(self, num_tokens: int, x: bool, *, decoder: bool) -> bool:
        """Count router and experts."""
        moe = self.config.stack_moe_config(decoder=decoder)
        d = self.config.d_model
        gate = self.linear(num_tokens, d, moe.num_experts, x, self._trains("gate"))
        rows = expert_rows(moe, num_tokens, training=True)
        return self._feed_forward(rows, x, self._trains("experts")) or gate

    def _trains(self, part: FreezePolicy) -> bool:
        """Return whether a part of the MoE layers is trained."""
        if self.freeze is None:
            return True
        is_selected = self.freeze.removeprefix("all_but_") in (part, "moe")
        return is_selected == self.freeze.startswith("all_but_")
