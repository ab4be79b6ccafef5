"""Names that a configuration can hold: activations, routers, dispatch backends, optimizers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from data_pipelines.suggestions import did_you_mean

Activation = Literal["relu", "gated_gelu"]
"""relu: T5 v1.0 and Switch; gated_gelu: T5 v1.1, ST-MoE and expert choice."""
RouterName = Literal["switch", "gshard", "st_moe", "expert_choice"]
DispatchBackend = Literal["native", "tutel", "fairscale"]
OptimizerName = Literal["adamw", "adafactor"]
CapacityUnit = Literal["token", "assignment"]
"""What a capacity factor multiplies: tokens / E (GShard, Switch, flaxformer), or tokens * top_k / E
(Tutel)."""
BalancedChoices = Literal["first", "all"]
"""Choices of a token that the load-balancing loss counts: the first (GShard, Switch), or all top_k
(flaxformer)."""
RouterLossReduction = Literal["mean", "sum"]
"""Over the MoE layers of both stacks: mean (T5X) or sum (Mesh TensorFlow)."""


def invalid_choice(value: object, choices: Iterable[str]) -> str:
    """Return an error text: "'nativ' is not one of native, tutel; did you mean 'native'?"."""
    names = list(choices)
    hint = did_you_mean(str(value), names).strip()
    return f"{value!r} is not one of {', '.join(names)}" + (f"; {hint}" if hint else "")
