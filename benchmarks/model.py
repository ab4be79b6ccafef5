"""Speed of complete models and of transformers' T5 v1.1 and SwitchTransformers of the same sizes.

    python -m benchmarks.model --quick
    python -m benchmarks.model --json figures.json

d_model 256, 4 + 4 layers, vocabulary 8192, batch 32, 128 input and 32 target tokens; MoE: 8 experts
in every second layer, ReLU. A training step is forward, loss, backward and a fused AdamW step with
the same loss for all. Generation is greedy with cached keys and values, and the same number of
tokens for both. Cases are interleaved; medians.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import machine_info, start_benchmark, time_interleaved, write_figures
from models.architecture.generation import greedy_decode
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig

BATCH_SIZE, INPUT_LENGTH, TARGET_LENGTH, NEW_TOKENS = 32, 128, 32, 32
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
LogitsFunction = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Measure, print two tables and write the figures."""
    turns, options = start_benchmark(__doc__)
    torch.manual_seed(0)
    source = torch.randint(2, 8192, (BATCH_SIZE, INPUT_LENGTH))
    target = torch.randint(2, 8192, (BATCH_SIZE, TARGET_LENGTH))
    training = _measure_training(source, target, turns)
    generation = _measure_generation(source, turns)
    figures: dict[str, Any] = {
        "machine": machine_info("torch", "transformers"),
        "training": training,
        "generation": generation,
    }
    print(f"training step, {BATCH_SIZE} x ({INPUT_LENGTH} + {TARGET_LENGTH}) tokens")
    for name, seconds in training["seconds"].items():
        print(f"  {name:<24} {seconds * 1e3:>8.1f} ms")
    for name, ratio in training["ratios"].items():
        print(f"  {name:<48} {ratio:.2f}")
    print(f"greedy generation, {BATCH_SIZE} x {NEW_TOKENS} new tokens from {INPUT_LENGTH}")
    for name, seconds in generation["seconds"].items():
        print(f"  {name:<24} {BATCH_SIZE * NEW_TOKENS / seconds:>8.0f} tokens/s")
    for name, ratio in generation["ratios"].items():
        print(f"  {name:<48} {ratio:.2f}")
    write_figures(figures, options.json)


def _measure_training(source: Tensor, target: Tensor, turns: int) -> dict[str, Any]:
    gated, relu, switch = (T5(c).reset_parameters(0).train() for c in (GATED, RELU, SWITCH))
    cases = {
        "flanmoe_t5_v1_1": _train_step(gated, _logits_of(gated), source, target),
        "flanmoe_t5_relu": _train_step(relu, _logits_of(relu), source, target),
        "flanmoe_switch": _train_step(switch, _logits_of(switch), source, target),
        "hf_t5_v1_1": _hf_train_step(_hf_t5("gated-gelu"), source, target),
        "hf_t5_relu": _hf_train_step(_hf_t5("relu"), source, target),
        "hf_switch": _hf_train_step(_hf_switch(), source, target),
        "flanmoe_t5_v1_1_bf16": _train_step(
            gated, _logits_of(gated), source, target, bfloat16=True
        ),
        "flanmoe_switch_bf16": _train_step(
            switch, _logits_of(switch), source, target, bfloat16=True
        ),
    }
    seconds = time_interleaved(cases, turns)
    ratios = {
        "tokens/s, dense v1.1: flanmoe / transformers": ("hf_t5_v1_1", "flanmoe_t5_v1_1"),
        "tokens/s, dense ReLU: flanmoe / transformers": ("hf_t5_relu", "flanmoe_t5_relu"),
        "tokens/s, Switch: flanmoe / transformers": ("hf_switch", "flanmoe_switch"),
        "time, flanmoe: Switch / dense of the same size": ("flanmoe_switch", "flanmoe_t5_relu"),
        "tokens/s, dense: flanmoe bf16 / transformers": ("hf_t5_v1_1", "flanmoe_t5_v1_1_bf16"),
        "tokens/s, Switch: flanmoe bf16 / transformers": ("hf_switch", "flanmoe_switch_bf16"),
    }
    return {
        "seconds": seconds,
        "ratios": {name: seconds[a] / seconds[b] for name, (a, b) in ratios.items()},
    }


def _measure_generation(source: Tensor, turns: int) -> dict[str, Any]:
    """Time generation of models that never end a row, because id 1 has the lowest score."""
    ones = torch.ones_like(source)
    cases: dict[str, Callable[[], object]] = {}
    for name, config, hf_model in (("t5", RELU, _hf_t5("relu")), ("switch", SWITCH, _hf_switch())):
        model = T5(config).reset_parameters(0).eval()
        hf_model.eval()
        cases[f"flanmoe_{name}"] = lambda m=model: greedy_decode(  # type: ignore[misc]
            m, source, ones, max_new_tokens=NEW_TOKENS, vocabulary=None
        )
        cases[f"hf_{name}"] = lambda m=hf_model: m.generate(  # type: ignore[misc]
            source,
            attention_mask=ones,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            do_sample=False,
            num_beams=1,
        )
        with torch.no_grad():
            model.embedding[1] = -model.embedding.abs().mean(0)
    seconds = time_interleaved(cases, turns)
    return {
        "seconds": seconds,
        "ratios": {
            "tokens/s, T5: flanmoe / transformers": seconds["hf_t5"] / seconds["flanmoe_t5"],
            "tokens/s, Switch: flanmoe / transformers": seconds["hf_switch"]
            / seconds["flanmoe_switch"],
        },
    }


def _logits_of(model: T5) -> LogitsFunction:
    return lambda source, target: model(
        source, torch.ones_like(source), target, torch.ones_like(target)
    )


def _train_step(
    model: nn.Module,
    logits: LogitsFunction,
    source: Tensor,
    target: Tensor,
    *,
    bfloat16: bool = False,
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            output = logits(source, target)
            loss = F.cross_entropy(output.flatten(0, 1).float(), target.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _hf_train_step(model: Any, source: Tensor, target: Tensor) -> Callable[[], None]:
    def logits(source: Tensor, target: Tensor) -> Tensor:
        output: Tensor = model(
            input_ids=source,
            attention_mask=torch.ones_like(source),
            decoder_input_ids=target,
            use_cache=False,
        ).logits
        return output

    return _train_step(model.train(), logits, source, target)


def _hf_t5(feed_forward_proj: str) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            **SIZES,
            num_decoder_layers=4,
            dropout_rate=0.0,
            feed_forward_proj=feed_forward_proj,
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
