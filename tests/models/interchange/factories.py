"""Small checkpoints of transformers and models of the same sizes."""

import hashlib
import io
import json
import random
from functools import cache

import sentencepiece as spm
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSeq2SeqLM,
    SwitchTransformersConfig,
    SwitchTransformersForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from models.architecture.t5 import T5
from models.config import ModelConfig
from models.weights import save_weights

SIZES = {"vocab_size": 96, "d_model": 32, "d_ff": 64, "num_heads": 4, "d_kv": 8, "num_layers": 4}
HF_KINDS = ["t5_v1_0", "t5_v1_1", "t5_v1_1_tied", "switch", "switch_every"]


@cache
def spiece_bytes(num_pieces=90, seed=0):
    """Train a SentencePiece model with T5's special ids; the seed changes its pieces."""
    generator = random.Random(seed)
    words = ["the", "quick", "fox", "jumps", "Answer:", "(A)", "why?", "dogs", "\u00e9mile", "42"]
    texts = [" ".join(generator.choices(words, k=9)) for _ in range(300)]
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=num_pieces,
        hard_vocab_limit=False, character_coverage=1.0, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def save_hf_model(kind, folder, **save_options):
    """Save a small random model of transformers, and return it as it is loaded again.

    A SentencePiece model lies beside it.

    Its weights are large enough for logits of different models to differ.
    """
    torch.manual_seed(0)
    common = {**SIZES, "num_decoder_layers": 4, "dropout_rate": 0.0, "decoder_start_token_id": 0}
    if kind.startswith("switch"):
        num_sparse = 4 if kind == "switch_every" else 2
        model = SwitchTransformersForConditionalGeneration(
            SwitchTransformersConfig(
                **common, num_experts=4, num_sparse_encoder_layers=num_sparse,
                num_sparse_decoder_layers=num_sparse, expert_capacity=1000,
                router_jitter_noise=0.0,
            )
        )  # fmt: skip
    else:
        gated = kind != "t5_v1_0"
        model = T5ForConditionalGeneration(
            T5Config(
                **common, feed_forward_proj="gated-gelu" if gated else "relu",
                tie_word_embeddings=kind == "t5_v1_0",
            )
        )  # fmt: skip
    for name, weight in model.named_parameters():
        torch.nn.init.normal_(weight, std=0.3 if weight.dim() > 1 else 1.0)
        if "router" in name:
            torch.nn.init.normal_(weight, std=1.0)
    model.save_pretrained(folder, **save_options)
    (folder / "spiece.model").write_bytes(spiece_bytes())
    if kind == "t5_v1_1":
        # Like a released v1.1 or Flan-T5 checkpoint: a separate output layer, and only the flag
        # that transformers had at that time.
        state = load_file(folder / "model.safetensors")
        state["lm_head.weight"] = torch.randn_like(state["shared.weight"]) * 0.3
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config["tie_word_embeddings"] = False
        config.pop("scale_decoder_outputs")
        (folder / "config.json").write_text(json.dumps(config))
    return AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


def random_model(tied=False, activation="gated_gelu", moe=None):
    """A model of the same sizes with weights of the same scale."""
    config = ModelConfig(**SIZES, activation=activation, tie_word_embeddings=tied, moe=moe)
    model = T5(config).reset_parameters(1).eval()
    torch.manual_seed(7)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3 if weight.dim() > 1 else 1.0)
    return model


def save_model(folder, model):
    """Save weights with a tokenizer."""
    folder.mkdir(parents=True)
    (folder / "spiece.model").write_bytes(spiece_bytes())
    save_weights(folder, model, hashlib.sha256(spiece_bytes()).hexdigest())


def random_batch():
    """Inputs longer than the largest bucket of relative positions, one padded, and targets."""
    torch.manual_seed(3)
    tokens = torch.randint(2, 96, (3, 150))
    tokens[1, 40:] = 0
    return tokens, torch.randint(2, 96, (3, 9))


def assert_equal_logits(model, hf_model):
    tokens, target = random_batch()
    segments = (tokens > 0).long()
    with torch.no_grad():
        expected = hf_model(
            input_ids=tokens, attention_mask=segments, decoder_input_ids=target
        ).logits
        logits = model(tokens, segments, target, torch.ones_like(target))
    assert expected.std() > 0.05
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
