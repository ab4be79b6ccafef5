"""Responses on disk: restored, repaired after a kill, dropped when another version wrote them."""

import json

from models.evaluation.batches import Request, RequestBatch, Response
from models.evaluation.response_cache import ResponseCache

BATCH = RequestBatch((Request(prompt="a", answers=("x", "y")), Request(prompt="b", answers=("z",))))
RESPONSES = [
    Response(
        log_probs=(-1.5, -float("inf")), is_greedy=(True, False), num_input_tokens=3,
        num_unknown_pieces=0, truncated=False, num_output_tokens=(1, 0),
    ),
    Response(
        log_probs=(-0.25,), is_greedy=(False,), num_input_tokens=2, num_unknown_pieces=0,
        truncated=True, num_output_tokens=(4,),
    ),
]  # fmt: skip


def test_cache_restores_the_responses_of_a_batch(tmp_path):
    path = tmp_path / "cache/responses.jsonl"
    ResponseCache(path).add(BATCH, RESPONSES)
    assert ResponseCache(path).by_digest == {BATCH.digest: RESPONSES}


def test_cache_with_an_incomplete_line_appends_after_the_complete_ones(tmp_path):
    path = tmp_path / "responses.jsonl"
    ResponseCache(path).add(BATCH, RESPONSES)
    complete = path.read_bytes()
    path.write_bytes(complete + complete[:40])
    other = RequestBatch((Request(prompt="c", max_new_tokens=2),))
    response = Response(
        text="t", num_input_tokens=1, num_unknown_pieces=0, truncated=False, num_output_tokens=(1,)
    )
    ResponseCache(path).add(other, [response])
    restored = ResponseCache(path).by_digest
    assert restored == {BATCH.digest: RESPONSES, other.digest: [response]}


def test_cache_of_another_version_is_dropped(tmp_path):
    path = tmp_path / "responses.jsonl"
    entry = {"batch": BATCH.digest, "responses": [{"logp": [0.5], "input_tokens": 3}]}
    path.write_text(json.dumps(entry) + "\n")
    assert ResponseCache(path).by_digest == {}
    assert path.read_bytes() == b""
