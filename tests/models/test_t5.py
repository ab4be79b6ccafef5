"""Our T5 against transformers' T5 on the same weights, and against itself packed and cached."""

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.training.batches import shift_right

SIZES = {"vocab_size": 96, "d_model": 32, "d_ff": 64, "num_heads": 4, "d_kv": 8, "num_layers": 3}
MOE = MoEConfig(num_experts=4, every=2, capacity_factor_train=None, capacity_factor_eval=None)


def ours(**changes):
    return T5(ModelConfig(**{**SIZES, **changes})).reset_parameters(1).eval()


def theirs(config: ModelConfig):
    gated = config.activation == "gated_gelu"
    torch.manual_seed(0)
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=config.vocab_size,
            d_model=config.d_model,
            d_kv=config.d_kv,
            d_ff=config.d_ff,
            num_heads=config.num_heads,
            num_layers=config.num_layers,
            num_decoder_layers=config.num_layers,
            feed_forward_proj="gated-gelu" if gated else "relu",
            tie_word_embeddings=config.tie_logits,
            dropout_rate=0.0,
            decoder_start_token_id=0,
        )
    ).eval()


def copy_from(reference, model):
    """transformers' weights under our names."""
    source = reference.state_dict()
    state = {"embedding": source["shared.weight"]}
    if model.head is not None:
        state["head"] = source["lm_head.weight"]
    gated = model.config.activation == "gated_gelu"
    for stack in ("encoder", "decoder"):
        state[f"{stack}.norm.weight"] = source[f"{stack}.final_layer_norm.weight"]
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        state[f"{stack}.position_bias.weight"] = source[bias]
        for i in range(model.config.num_layers):
            here, there = f"{stack}.blocks.{i}", f"{stack}.block.{i}.layer"
            parts = [("attention", "attention_norm", f"{there}.0", "SelfAttention")]
            if stack == "decoder":
                parts.append(("cross_attention", "cross_norm", f"{there}.1", "EncDecAttention"))
            for name, norm, layer, kind in parts:
                state[f"{here}.{norm}.weight"] = source[f"{layer}.layer_norm.weight"]
                for matrix in "qkvo":
                    state[f"{here}.{name}.{matrix}"] = source[f"{layer}.{kind}.{matrix}.weight"]
            last = f"{there}.{2 if stack == 'decoder' else 1}"
            state[f"{here}.feed_forward_norm.weight"] = source[f"{last}.layer_norm.weight"]
            names = {"wi": "wi_0", "wg": "wi_1", "wo": "wo"} if gated else {"wi": "wi", "wo": "wo"}
            for name, other in names.items():
                state[f"{here}.feed_forward.{name}"] = source[
                    f"{last}.DenseReluDense.{other}.weight"
                ]
    model.load_state_dict(state)


@pytest.mark.parametrize(
    ("activation", "tied"), [("gated_gelu", False), ("relu", True), ("relu", False)]
)
def test_logits_equal_transformers(activation, tied):
    model = ours(activation=activation, tie_logits=tied)
    reference = theirs(model.config)
    copy_from(reference, model)
    torch.manual_seed(3)
    tokens = torch.randint(2, 96, (3, 150))  # longer than the relative position's far distance
    tokens[1, 40:] = 0
    segments = (tokens > 0).long()
    target = torch.randint(2, 96, (3, 9))
    labels_input = shift_right(target, torch.ones_like(target))
    with torch.no_grad():
        expected = reference(
            input_ids=tokens, attention_mask=segments, decoder_input_ids=labels_input
        ).logits
        found = model(tokens, segments, labels_input, torch.ones_like(target))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_greedy_generation_equals_transformers():
    model = ours()
    reference = theirs(model.config)
    copy_from(reference, model)
    tokens = torch.randint(2, 96, (4, 12))
    expected = reference.generate(tokens, max_new_tokens=10, do_sample=False, num_beams=1)
    with torch.no_grad():
        memory = model.encode(tokens, torch.ones_like(tokens))
        state = model.start_decoding(memory, torch.ones_like(tokens))
        token, written = torch.zeros(4, dtype=torch.long), []
        for _ in range(10):
            token = model.step(token, state).argmax(-1)
            written.append(token)
    found = torch.stack(written, 1)
    for row, reference_row in zip(found.tolist(), expected[:, 1:].tolist(), strict=True):
        length = reference_row.index(1) + 1 if 1 in reference_row else len(reference_row)
        assert row[:length] == reference_row[:length]


@pytest.mark.parametrize("moe", [None, MOE])
def test_cached_steps_equal_one_pass(moe):
    model = ours(moe=moe, activation="relu")
    tokens, target = torch.randint(2, 96, (3, 10)), torch.randint(2, 96, (3, 7))
    segments = torch.ones_like(tokens)
    segments[0, 6:] = 0
    with torch.no_grad():
        memory = model.encode(tokens, segments)
        whole = model.decode(target, torch.ones_like(target), memory, segments)
        state = model.start_decoding(memory, segments)
        steps = torch.stack([model.step(target[:, i], state) for i in range(7)], 1)
    torch.testing.assert_close(steps, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("moe", [None, MOE])
def test_packed_examples_do_not_see_each_other(moe):
    model = ours(moe=moe, activation="relu")
    first, second = torch.randint(2, 96, (1, 5)), torch.randint(2, 96, (1, 4))
    y1, y2 = torch.randint(2, 96, (1, 3)), torch.randint(2, 96, (1, 2))
    pad = torch.zeros(1, 2, dtype=torch.long)
    tokens, target = torch.cat([first, second, pad], 1), torch.cat([y1, y2, pad], 1)
    segments = torch.tensor([[1] * 5 + [2] * 4 + [0] * 2])
    target_segments = torch.tensor([[1] * 3 + [2] * 2 + [0] * 2])

    def alone(x, y):
        return model(x, torch.ones_like(x), y, torch.ones_like(y))

    with torch.no_grad():
        packed = model(tokens, segments, target, target_segments)
        torch.testing.assert_close(packed[:, :3], alone(first, y1), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(packed[:, 3:5], alone(second, y2), atol=1e-5, rtol=1e-5)


def test_same_seed_same_weights_and_global_random_state_untouched():
    before = torch.get_rng_state()
    one, two = ours(moe=MOE), ours(moe=MOE)
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name
        assert torch.isfinite(tensor).all(), name


def test_moe_layers_stand_in_every_second_block():
    model = T5(ModelConfig(**{**SIZES, "num_layers": 4}, moe=MOE))
    assert sorted(model.moe_layers()) == [
        "decoder.blocks.1.feed_forward",
        "decoder.blocks.3.feed_forward",
        "encoder.blocks.1.feed_forward",
        "encoder.blocks.3.feed_forward",
    ]
    assert model.state_dict()["encoder.blocks.1.feed_forward.experts.wi_EDF"].shape == (4, 32, 64)
