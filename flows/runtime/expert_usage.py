"""How many tokens each expert of a model receives while it answers.

Shape suffix: E experts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from models.architecture.moe.layer import MoELayer
from models.architecture.t5 import T5


@contextmanager
def count_expert_tokens(model: T5) -> Iterator[dict[str, list[int]]]:
    """Count the tokens of each expert in the forward passes of the block.

    Args:
        model: any model.

    Yields:
        Tokens per expert by the name of the MoE layer; filled while the block runs, and empty for a
        dense model.
    """
    tokens_by_layer: dict[str, list[int]] = {}
    handles = [
        module.register_forward_hook(partial(_add, tokens_by_layer, name))
        for name, module in model.moe_layers().items()
    ]
    try:
        yield tokens_by_layer
    finally:
        for handle in handles:
            handle.remove()


def _add(
    tokens_by_layer: dict[str, list[int]], name: str, layer: MoELayer, *_inputs_and_output: Any
) -> None:
    """Add the tokens of a layer's last forward pass to its counts."""
    assert layer.routing is not None  # after a forward pass
    counts_E = layer.routing.tokens_per_expert_E.tolist()
    earlier = tokens_by_layer.get(name, [0] * len(counts_E))
    tokens_by_layer[name] = [a + b for a, b in zip(earlier, counts_E, strict=True)]
