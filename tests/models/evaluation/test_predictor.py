"""The predictor's scores and texts, against plain loops over the model's forward pass."""

import dataclasses
import random

import pytest
import torch

from models.architecture.generation import greedy_decode
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.errors import CorruptCheckpoint
from models.evaluation.predictor import EOS, PAD, Seq2SeqPredictor, batch_invariant_config
from models.evaluation.prompt_tokenizer import PromptTokenizer

VOCAB_SIZE = 23


class WordProcessor:
    """A tokenizer of 20 words, with SentencePiece's methods."""

    def EncodeAsIds(self, text):
        return [3 + int(word[1:]) for word in text.split() if word[0] == "w"]

    def DecodeIds(self, ids):
        return " ".join(f"w{i - 3}" for i in ids)

    def IdToPiece(self, i):
        return f"\u2581w{i - 3}"

    def unk_id(self):
        return 2

    def vocab_size(self):
        return VOCAB_SIZE


MOE_CONFIGS = {
    "dense": None,
    "switch": MoEConfig(num_experts=4, capacity_factor_eval=0.5, min_capacity=1),
    "gshard": MoEConfig(num_experts=4, router="gshard", top_k=2, capacity_factor_eval=0.5),
    "st_moe": MoEConfig(
        num_experts=4, router="st_moe", top_k=2, capacity_factor_eval=0.5, min_capacity=1,
        dense_after_moe=True, group_tokens=4,
    ),
    "expert_choice": MoEConfig(
        num_experts=4, router="expert_choice", decoder_router="st_moe", decoder_top_k=2,
        capacity_factor_eval=1.0,
    ),
}  # fmt: skip


def model_config(name):
    return ModelConfig(
        vocab_size=VOCAB_SIZE, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2,
        moe=MOE_CONFIGS[name],
    )  # fmt: skip


@pytest.fixture(scope="module", params=MOE_CONFIGS)
def predictor(request):
    model = T5(batch_invariant_config(model_config(request.param))).reset_parameters(0).eval()
    return Seq2SeqPredictor(model, PromptTokenizer(WordProcessor()), max_input_tokens=12)


def with_likely_eos(predictor):
    """Return the predictor with a model whose rows end at different steps."""
    model = T5(predictor.model.config).reset_parameters(0).eval()
    with torch.no_grad():
        head = model.head if model.head is not None else model.embedding
        head[EOS] = 1.5 * head[4] + 1.5 * head[9]
    return dataclasses.replace(predictor, model=model)


@torch.no_grad()
def log_probs_without_cache(predictor, prompt, prefix):
    """Run the model on a prompt and the tokens so far; log-probabilities of the next token."""
    encoder_tokens = torch.tensor([predictor.encode(prompt)])
    decoder_tokens = torch.tensor([[PAD, *prefix]])
    logits = predictor.model(
        encoder_tokens, torch.ones_like(encoder_tokens),
        decoder_tokens, torch.ones_like(decoder_tokens),
    )  # fmt: skip
    return torch.log_softmax(logits[0, -1], -1)


def test_score_equals_the_sum_of_log_probabilities_without_eos(predictor):
    prompt, answer, ids = "w1 w2 w3", "w4 w5", [7, 8]
    expected = sum(
        float(log_probs_without_cache(predictor, prompt, ids[:i])[token])
        for i, token in enumerate(ids)
    )
    ((log_prob, _),) = predictor.score([(prompt, answer)])
    assert log_prob == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("ends_early", [False, True])
def test_generate_equals_a_greedy_loop_without_cache(predictor, ends_early):
    if ends_early:
        predictor = with_likely_eos(predictor)
    prompts = [f"w{i} w{(3 * i) % 20} w{(7 * i) % 20}" for i in range(9)]
    num_finished = 0
    for prompt, generation in zip(prompts, predictor.generate(prompts, 6), strict=True):
        ids = []
        while len(ids) < 6 and EOS not in ids:
            log_probs = log_probs_without_cache(predictor, prompt, ids)
            ids.append(int(log_probs[: len(predictor.tokenizer)].argmax()))
        assert generation.finished == (EOS in ids)
        assert generation.num_tokens == len(ids)
        assert generation.text == predictor.tokenizer.decode([i for i in ids if i != EOS])
        num_finished += generation.finished
    assert num_finished > 0 or not ends_early


def test_score_and_generate_do_not_depend_on_the_batch(predictor):
    pairs = [("w1 w2 w3 w4 w5 w6", "w7 w8 w9"), ("w1", "w2"), ("w1", "w3 w4"), ("w9 w9", "w1")]
    batch_scores = predictor.score(pairs)
    reversed_scores = predictor.score(pairs[::-1])[::-1]
    single_scores = {}
    for prompt in {prompt for prompt, _ in pairs}:
        same_prompt = [pair for pair in pairs if pair[0] == prompt]
        single_scores |= dict(zip(same_prompt, predictor.score(same_prompt), strict=True))
    for pair, b, c in zip(pairs, batch_scores, reversed_scores, strict=True):
        a = single_scores[pair]
        assert a[0] == pytest.approx(b[0], abs=1e-5) == pytest.approx(c[0], abs=1e-5)
        assert a[1] == b[1] == c[1]
    prompts = [prompt for prompt, _ in pairs]
    assert predictor.generate(prompts, 6) == [predictor.generate([p], 6)[0] for p in prompts]


def test_score_of_an_option_does_not_depend_on_the_other_options(predictor):
    prompt = "w1 w2 w3 w4"
    options = [f"w{i % 7 + 1} w{(5 * i) % 11} w{(3 * i) % 13}" for i in range(12)]
    expected = {o: predictor.score([(prompt, o)])[0] for o in options}
    generator = random.Random(0)
    for _ in range(4):
        subset = generator.sample(options, generator.randint(2, len(options)))
        company = [("w9 w8", option) for option in subset]
        pairs = [(prompt, option) for option in subset] + company
        generator.shuffle(pairs)
        for pair, (log_prob, is_greedy) in zip(pairs, predictor.score(pairs), strict=True):
            if pair[0] == prompt:
                assert log_prob == pytest.approx(expected[pair[1]][0], abs=1e-5)
                assert is_greedy == expected[pair[1]][1]


def test_score_with_the_training_capacity_depends_on_the_batch():
    pairs = [(f"w{i} w{i + 1}", "w7 w8") for i in range(12)]
    model = T5(model_config("switch")).reset_parameters(0).eval()
    predictor = Seq2SeqPredictor(model, PromptTokenizer(WordProcessor()), 12)
    single_scores = [predictor.score([pair])[0][0] for pair in pairs]
    batch_scores = [log_prob for log_prob, _ in predictor.score(pairs)]
    differences = [abs(a - b) for a, b in zip(single_scores, batch_scores, strict=True)]
    assert max(differences) > 1e-3


def test_greedy_flag_agrees_with_generate(predictor):
    (generation,) = predictor.generate(["w1 w2"], 5)
    num_text_tokens = len(predictor.tokenizer.encode(generation.text))
    if num_text_tokens == generation.num_tokens - generation.finished > 0:
        assert predictor.score([("w1 w2", generation.text)])[0][1] is True
    assert predictor.score([("w1 w2", "w19 w18 w17")])[0][1] is False


def test_encode_of_a_long_prompt_retains_its_end(predictor):
    text = " ".join(f"w{i % 20}" for i in range(40))
    ids = predictor.encode(text)
    assert len(ids) == 12
    assert ids[-1] == EOS
    assert ids[:-1] == [3 + i % 20 for i in range(29, 40)]
    assert predictor.num_tokens(text) == 41


def test_score_of_an_answer_without_tokens_is_minus_infinity(predictor):
    prompt = "w1 w2"
    (expected,) = predictor.score([(prompt, "w3")])
    scores = predictor.score([(prompt, "none"), (prompt, "w3")])
    assert scores[0] == (-float("inf"), False)
    assert scores[1][0] == pytest.approx(expected[0], abs=1e-5)
    assert predictor.score([(prompt, "none"), (prompt, "nil")]) == [(-float("inf"), False)] * 2


def test_score_with_nan_outputs_is_rejected(predictor):
    model = T5(predictor.model.config).reset_parameters(0).eval()
    with torch.no_grad():
        model.decoder.norm.weight.fill_(float("nan"))
    with pytest.raises(CorruptCheckpoint, match="contain NaN"):
        dataclasses.replace(predictor, model=model).score([("w1", "w2")])


def test_greedy_decode_of_a_batch_equals_single_rows(predictor):
    """Finished rows leave the batch; the others must not change."""
    torch.manual_seed(0)
    model = with_likely_eos(predictor).model
    tokens = torch.randint(3, VOCAB_SIZE, (9, 7))
    batch = greedy_decode(model, tokens, torch.ones_like(tokens), max_new_tokens=20)
    lengths = [(row != EOS).sum().item() for row in batch]
    assert len(set(lengths)) > 2
    segments = torch.ones(1, 7, dtype=torch.long)
    for row, source in zip(batch, tokens, strict=True):
        single = greedy_decode(model, source[None], segments, max_new_tokens=20)
        assert row[: single.shape[1]].tolist() == single[0].tolist()
        assert set(row[single.shape[1] :].tolist()) <= {EOS}
