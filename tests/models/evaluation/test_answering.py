"""The adapter's numbers by brute force: scores, generation, prompts."""

import dataclasses

import pytest
import torch

from models.architecture.generation import greedy
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.errors import CorruptCheckpoint
from models.evaluation.predictor import Seq2SeqPredictor, batch_invariant_config
from models.evaluation.tokens import Tokens


class Words:
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
        return 23


ROUTERS = {
    "dense": None,
    "switch": MoEConfig(num_experts=4, capacity_factor_eval=0.5, min_capacity=1),
    "top2": MoEConfig(num_experts=4, router="st_moe", top_k=2, capacity_factor_eval=0.5),
    "chosen": MoEConfig(
        num_experts=4, router="expert_choice", decoder_router="st_moe", decoder_top_k=2,
        capacity_factor_eval=1.0,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=ROUTERS)
def answerer(request):
    config = ModelConfig(
        vocab_size=23, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2,
        moe=ROUTERS[request.param],
    )  # fmt: skip
    model = T5(batch_invariant_config(config)).reset_parameters(0).eval()
    return Seq2SeqPredictor(model, Tokens(Words()), max_input=12)


def test_score_is_the_sum_of_log_probabilities_without_the_end_mark(answerer):
    source, target = "w1 w2 w3", "w4 w5"
    ids, expected = [7, 8], 0.0
    with torch.no_grad():
        x = torch.tensor([[4, 5, 6, 1]])
        for i, token in enumerate(ids):
            prefix = torch.tensor([[0, *ids[:i]]])
            logits = answerer.model(x, torch.ones_like(x), prefix, torch.ones_like(prefix))
            expected += float(torch.log_softmax(logits[0, -1], -1)[token])
    ((found, _),) = answerer.score([(source, target)])
    assert found == pytest.approx(expected, abs=1e-4)


def test_neighbours_order_and_padding_change_nothing(answerer):
    pairs = [("w1 w2 w3 w4 w5 w6", "w7 w8 w9"), ("w1", "w2"), ("w1", "w3 w4"), ("w9 w9", "w1")]
    together = answerer.score(pairs)
    backwards = answerer.score(pairs[::-1])[::-1]
    alone = {}
    for source in {source for source, _ in pairs}:
        mine = [pair for pair in pairs if pair[0] == source]
        alone |= dict(zip(mine, answerer.score(mine), strict=True))
    for pair, b, c in zip(pairs, together, backwards, strict=True):
        assert alone[pair][0] == pytest.approx(b[0], abs=1e-5) == pytest.approx(c[0], abs=1e-5)
        assert alone[pair][1] == b[1] == c[1]
    sources = [source for source, _ in pairs]
    assert answerer.generate(sources, 6) == [answerer.generate([s], 6)[0] for s in sources]


def test_a_model_that_drops_tokens_would_depend_on_its_neighbours():
    config = ModelConfig(
        vocab_size=23, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2,
        moe=ROUTERS["switch"],
    )  # fmt: skip
    pairs = [(f"w{i} w{i + 1}", "w7 w8") for i in range(12)]
    as_trained = Seq2SeqPredictor(T5(config).reset_parameters(0).eval(), Tokens(Words()), 12)
    alone = [as_trained.score([pair])[0][0] for pair in pairs]
    together = [logp for logp, _ in as_trained.score(pairs)]
    assert max(abs(a - b) for a, b in zip(alone, together, strict=True)) > 1e-3


def test_greedy_flag_and_generation_agree(answerer):
    (written,) = answerer.generate(["w1 w2"], 5)
    if len(answerer.tokens(written.text)) == written.tokens - written.ended > 0:
        assert answerer.score([("w1 w2", written.text)])[0][1] is True
    assert answerer.score([("w1 w2", "w19 w18 w17")])[0][1] is False


def test_a_long_input_keeps_its_end(answerer):
    text = " ".join(f"w{i % 20}" for i in range(40))
    ids = answerer.encode(text)
    assert len(ids) == 12
    assert ids[-1] == 1
    assert ids[:-1] == [3 + i % 20 for i in range(29, 40)]
    assert answerer.length(text) == 41


def test_an_option_without_a_token_is_impossible_and_harms_no_other(answerer):
    source = "w1 w2"
    (with_empty,) = answerer.score([(source, "w3")])
    scores = answerer.score([(source, "none"), (source, "w3")])
    assert scores[0] == (-float("inf"), False)
    assert scores[1][0] == pytest.approx(with_empty[0], abs=1e-5)
    assert answerer.score([(source, "none"), (source, "nil")]) == [(-float("inf"), False)] * 2


def test_outputs_that_are_no_numbers_are_refused(answerer):
    broken = dataclasses.replace(answerer, model=T5(answerer.model.config).reset_parameters(0))
    broken.model.eval()
    with torch.no_grad():
        broken.model.decoder.norm.weight.fill_(float("nan"))
    with pytest.raises(CorruptCheckpoint, match="not numbers"):
        broken.score([("w1", "w2")])


def test_rows_that_end_are_left_out_without_a_trace(answerer):
    """An end mark made likely ends rows at different steps; each must be as if it were alone."""
    torch.manual_seed(0)
    model = T5(answerer.model.config).reset_parameters(0).eval()
    with torch.no_grad():
        head = model.head if model.head is not None else model.embedding
        head[1] = 1.5 * head[4] + 1.5 * head[9]
    tokens = torch.randint(3, 23, (9, 7))
    together = greedy(model, tokens, torch.ones_like(tokens), max_new_tokens=20)
    lengths = [(row != 1).sum().item() for row in together]
    assert len(set(lengths)) > 2
    for row, source in zip(together, tokens, strict=True):
        alone = greedy(model, source[None], torch.ones(1, 7, dtype=torch.long), max_new_tokens=20)
        assert row[: alone.shape[1]].tolist() == alone[0].tolist()
        assert set(row[alone.shape[1] :].tolist()) <= {1}
