"""Speed of complete models and of transformers' T5 v1.1 and SwitchTransformers of the same sizes.

    python -m benchmarks.model --quick
    python -m benchmarks.model --json figures.json

d_model 256, 4 + 4 layers, vocabulary 8192, batch 32, 128 input and 32 target tokens; MoE: 8 experts
in every second layer, ReLU. A training step is forward, loss, backward and a fused AdamW step with
the same loss for all. Generation is greedy with cached keys and values, and the same number of
tokens for both. Cases are timed in turn; figures are medians. `--quick` measures smaller models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.timing import machine_info, start_benchmark, time_interleaved, write_figures
from models.architecture.generation import greedy_decode
from models.architecture.t5 import T5
from models.choices import Activation
from models.config import ModelConfig, MoEConfig

NUM_EXPERTS = 8


@dataclass(frozen=True, kw_only=True)
class ModelSize:
    """Sizes of the models, and of the batch that they train and generate on."""

    vocab_size: int
    d_model: int
    d_ff: int
    num_heads: int
    num_layers: int
    batch_size: int
    input_length: int
    target_length: int
    new_tokens: int

    def shared_options(self) -> dict[str, int]:
        """Return the fields that ModelConfig and transformers' configurations both have."""
        names = ("vocab_size", "d_model", "d_ff", "num_heads", "num_layers")
        return {name: getattr(self, name) for name in names} | {"d_kv": 64}

    def dense(self, activation: Activation) -> ModelConfig:
        """Return a dense model."""
        return ModelConfig(**self.shared_options(), activation=activation)  # type: ignore[arg-type]

    def switch(self) -> ModelConfig:
        """Return the dense ReLU model with top-1 dropless experts in every second layer."""
        moe = MoEConfig(
            num_experts=NUM_EXPERTS,
            capacity_factor_train=None,
            capacity_factor_eval=None,
            expert_dropout=0.0,
        )
        return dataclasses.replace(self.dense("relu"), moe=moe)


FULL = ModelSize(
    vocab_size=8192, d_model=256, d_ff=1024, num_heads=4, num_layers=4, batch_size=32,
    input_length=128, target_length=32, new_tokens=32,
)  # fmt: skip
QUICK = ModelSize(
    vocab_size=512, d_model=64, d_ff=128, num_heads=2, num_layers=2, batch_size=4,
    input_length=32, target_length=16, new_tokens=8,
)  # fmt: skip
LogitsFunction = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    """Measure, print two tables and write the figures."""
    turns, options = start_benchmark(__doc__)
    size = QUICK if options.quick else FULL
    torch.manual_seed(0)
    source = torch.randint(2, size.vocab_size, (size.batch_size, size.input_length))
    target = torch.randint(2, size.vocab_size, (size.batch_size, size.target_length))
    training = _measure_training(size, source, target, turns)
    generation = _measure_generation(size, source, turns)
    figures: dict[str, Any] = {
        "machine": machine_info("torch", "transformers"),
        "training": training,
        "generation": generation,
    }
    tokens = f"{size.input_length} + {size.target_length}"
    print(f"training step, {size.batch_size} x ({tokens}) tokens")
    for name, seconds in training["seconds"].items():
        print(f"  {name:<24} {seconds * 1e3:>8.1f} ms")
    for name, ratio in training["ratios"].items():
        print(f"  {name:<48} {ratio:.2f}")
    new_tokens = size.batch_size * size.new_tokens
    print(
        f"greedy generation, {size.batch_size} x {size.new_tokens} new tokens "
        f"from {size.input_length}"
    )
    for name, seconds in generation["seconds"].items():
        print(f"  {name:<24} {new_tokens / seconds:>8.0f} tokens/s")
    for name, ratio in generation["ratios"].items():
        print(f"  {name:<48} {ratio:.2f}")
    write_figures(figures, options.json)


def _measure_training(
    size: ModelSize, source: Tensor, target: Tensor, turns: int
) -> dict[str, Any]:
    configs = (size.dense("gated_gelu"), size.dense("relu"), size.switch())
    gated, relu, switch = (T5(config).reset_parameters(0).train() for config in configs)
    cases = {
        "flanmoe_t5_v1_1": _train_step(gated, _logits_of(gated), source, target),
        "flanmoe_t5_relu": _train_step(relu, _logits_of(relu), source, target),
        "flanmoe_switch": _train_step(switch, _logits_of(switch), source, target),
        "hf_t5_v1_1": _hf_train_step(_hf_t5(size, "gated-gelu"), source, target),
        "hf_t5_relu": _hf_train_step(_hf_t5(size, "relu"), source, target),
        "hf_switch": _hf_train_step(_hf_switch(size), source, target),
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


def _measure_generation(size: ModelSize, source: Tensor, turns: int) -> dict[str, Any]:
    """Time greedy generation; transformers is forced to generate `new_tokens` tokens."""
    ones = torch.ones_like(source)
    cases: dict[str, Callable[[], object]] = {}
    models = (
        ("t5", size.dense("relu"), _hf_t5(size, "relu")),
        ("switch", size.switch(), _hf_switch(size)),
    )
    for name, config, hf_model in models:
        model = T5(config).reset_parameters(0).eval()
        hf_model.eval()
        cases[f"flanmoe_{name}"] = lambda m=model: greedy_decode(  # type: ignore[misc]
            m, source, ones, max_new_tokens=size.new_tokens, vocabulary=None
        )
        cases[f"hf_{name}"] = lambda m=hf_model: m.generate(  # type: ignore[misc]
            source,
            attention_mask=ones,
            max_new_tokens=size.new_tokens,
            min_new_tokens=size.new_tokens,
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


def _hf_t5(size: ModelSize, feed_forward_proj: str) -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            **size.shared_options(),
            num_decoder_layers=size.num_layers,
            dropout_rate=0.0,
            feed_forward_proj=feed_forward_proj,
            decoder_start_token_id=0,
        )
    )


def _hf_switch(size: ModelSize) -> Any:
    from transformers import SwitchTransformersConfig, SwitchTransformersForConditionalGeneration

    return SwitchTransformersForConditionalGeneration(
        SwitchTransformersConfig(
            **size.shared_options(),
            num_decoder_layers=size.num_layers,
            num_experts=NUM_EXPERTS,
            num_sparse_encoder_layers=size.num_layers // 2,
            num_sparse_decoder_layers=size.num_layers // 2,
            expert_capacity=1 << 20,
            dropout_rate=0.0,
            router_jitter_noise=0.0,
            decoder_start_token_id=0,
        )
    )


if __name__ == "__main__":
    main()
