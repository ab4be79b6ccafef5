"""Speed of whole models against transformers' T5 v1.1 and SwitchTransformers of the same sizes.

    python -m benchmarks.model --quick
    python -m benchmarks.model --json figures.json

d_model 256, 4 + 4 layers, vocabulary 8192, batch 32, 128 input and 32 target tokens; MoE: 8 experts
in every second layer, ReLU. A training step is forward, loss, backward and a fused AdamW step, the
same loss for all. Generation is greedy with cached keys and values, as many tokens for both. All
cases in turns, medians.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import begin, interleaved, machine, write
from models.architecture.generation import greedy
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig

BATCH, SOURCE, TARGET, NEW = 32, 128, 32, 32
SIZES = {
    "vocab_size": 8192,
    "d_model": 256,
    "d_ff": 1024,
    "num_heads": 4,
    "d_kv": 64,
    "num_layers": 4,
}
GATED = ModelConfig(**SIZES, activation="gated_gelu")  # type: ignore[arg-type]
RELU = ModelConfig(**SIZES, activation="relu")  # type: ignore[arg-type]
SWITCH = dataclasses.replace(
    RELU,
    moe=MoEConfig(
        num_experts=8, capacity_factor_train=None, capacity_factor_eval=None, expert_dropout=0.0
    ),
)
Logits = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Measures, prints two tables, and writes the figures where asked."""
    turns, chosen = begin(__doc__)
    torch.manual_seed(0)
    source = torch.randint(2, 8192, (BATCH, SOURCE))
    target = torch.randint(2, 8192, (BATCH, TARGET))
    training = _training(source, target, turns)
    generation = _generation(source, turns)
    figures: dict[str, Any] = {
        "machine": machine("torch", "transformers"),
        "training": training,
        "generation": generation,
    }
    print(f"training step, {BATCH} x ({SOURCE} + {TARGET}) tokens")
    for name, seconds in training["seconds"].items():
        print(f"  {name:<24} {seconds * 1e3:>8.1f} ms")
    for name, ratio in training["ratios"].items():
        print(f"  {name:<48} {ratio:.2f}")
    print(f"greedy generation, {BATCH} x {NEW} new tokens from {SOURCE}")
    for name, seconds in generation["seconds"].items():
        print(f"  {name:<24} {BATCH * NEW / seconds:>8.0f} tokens/s")
    for name, ratio in generation["ratios"].items():
        print(f"  {name:<48} {ratio:.2f}")
    write(figures, chosen.json)


def _training(source: Tensor, target: Tensor, turns: int) -> dict[str, Any]:
    gated, relu, switch = (T5(c).reset_parameters(0).train() for c in (GATED, RELU, SWITCH))
    cases = {
        "ours_t5_v1_1": _step(gated, _ours(gated), source, target),
        "ours_t5_relu": _step(relu, _ours(relu), source, target),
        "ours_switch": _step(switch, _ours(switch), source, target),
        "hf_t5_v1_1": _hf_step(_hf_t5("gated-gelu"), source, target),
        "hf_t5_relu": _hf_step(_hf_t5("relu"), source, target),
        "hf_switch": _hf_step(_hf_switch(), source, target),
        "ours_t5_v1_1_bf16": _step(gated, _ours(gated), source, target, bfloat16=True),
        "ours_switch_bf16": _step(switch, _ours(switch), source, target, bfloat16=True),
    }
    s = interleaved(cases, turns)
    return {
        "seconds": s,
        "ratios": {
            "tokens/s, dense v1.1: ours / transformers": s["hf_t5_v1_1"] / s["ours_t5_v1_1"],
            "tokens/s, dense ReLU: ours / transformers": s["hf_t5_relu"] / s["ours_t5_relu"],
            "tokens/s, Switch: ours / transformers": s["hf_switch"] / s["ours_switch"],
            "time, ours: Switch / dense of the same size": s["ours_switch"] / s["ours_t5_relu"],
            "tokens/s, dense: ours bf16 / transformers": s["hf_t5_v1_1"] / s["ours_t5_v1_1_bf16"],
            "tokens/s, Switch: ours bf16 / transformers": s["hf_switch"] / s["ours_switch_bf16"],
        },
    }


def _generation(source: Tensor, turns: int) -> dict[str, Any]:
    """The models never end a row: id 1 has the lowest score of all."""
    ones = torch.ones_like(source)
    cases: dict[str, Callable[[], object]] = {}
    for name, config, other in (("t5", RELU, _hf_t5("relu")), ("switch", SWITCH, _hf_switch())):
        ours = T5(config).reset_parameters(0).eval()
        other.eval()
        cases[f"ours_{name}"] = lambda m=ours: greedy(  # type: ignore[misc]
            m, source, ones, max_new_tokens=NEW, vocabulary=None
        )
        cases[f"hf_{name}"] = lambda m=other: m.generate(  # type: ignore[misc]
            source,
            attention_mask=ones,
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            do_sample=False,
            num_beams=1,
        )
        with torch.no_grad():  # no row may end early
            ours.embedding[1] = -ours.embedding.abs().mean(0)
    s = interleaved(cases, turns)
    return {
        "seconds": s,
        "ratios": {
            "tokens/s, T5: ours / transformers": s["hf_t5"] / s["ours_t5"],
            "tokens/s, Switch: ours / transformers": s["hf_switch"] / s["ours_switch"],
        },
    }


def _ours(model: T5) -> Logits:
    return lambda source, target: model(
        source, torch.ones_like(source), target, torch.ones_like(target)
    )


def _step(
    model: nn.Module, logits: Logits, source: Tensor, target: Tensor, *, bfloat16: bool = False
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            found = logits(source, target)
            loss = F.cross_entropy(found.flatten(0, 1).float(), target.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _hf_step(model: Any, source: Tensor, target: Tensor) -> Callable[[], None]:
    def logits(source: Tensor, target: Tensor) -> Tensor:
        found: Tensor = model(
            input_ids=source,
            attention_mask=torch.ones_like(source),
            decoder_input_ids=target,
            use_cache=False,
        ).logits
        return found

    return _step(model.train(), logits, source, target)


def _hf_t5(kind: str) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            **SIZES,
            num_decoder_layers=4,
            dropout_rate=0.0,
            feed_forward_proj=kind,
            decoder_start_token_id=0,
        )
    )


def _hf_switch() -> Any:
    from transformers import SwitchTransformersConfig, SwitchTransformersForConditionalGeneration

    return SwitchTransformersForConditionalGeneration(
        SwitchTransformersConfig(
            **SIZES,
            num_decoder_layers=4,
            num_experts=8,
            num_sparse_encoder_layers=2,
            num_sparse_decoder_layers=2,
            expert_capacity=1 << 20,
            dropout_rate=0.0,
            router_jitter_noise=0.0,
            decoder_start_token_id=0,
        )
    )


if __name__ == "__main__":
    main()
