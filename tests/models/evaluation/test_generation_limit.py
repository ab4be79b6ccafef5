"""Limits of generated answers for tokenizers of different sizes."""

import dataclasses

import pytest
import sentencepiece as spm

from models.evaluation.eval_data import EvalData
from models.evaluation.generation_limit import generation_limit
from models.evaluation.suite import load_suite
from tests.models.evaluation.factories import write_eval_data


@pytest.fixture
def bbh(tmp_path):
    """The suite bbh_cot and its tasks; 3.353 characters of its exemplars are a token of T5."""
    write_eval_data(tmp_path)
    suite = load_suite("bbh_cot")
    return suite, EvalData.open(tmp_path).load_tasks(suite)[0]


@pytest.mark.parametrize(
    ("characters_per_token", "expected"), [(3.353, 256), (1, 858), (2, 429), (10, 256)]
)
def test_generation_limit_grows_with_the_tokens_of_the_same_text(
    bbh, characters_per_token, expected
):
    suite, tasks = bbh
    limit = generation_limit(suite, tasks, tasks[0], lambda text: len(text) / characters_per_token)
    assert limit == expected


def test_generation_limit_of_a_small_vocabulary_allows_the_same_characters(bbh, spiece):
    suite, tasks = bbh
    processor = spm.SentencePieceProcessor(model_file=str(spiece))
    limit = generation_limit(suite, tasks, tasks[0], lambda text: len(processor.EncodeAsIds(text)))
    texts = [e.text + e.rationale for task in tasks for e in task.exemplars]
    num_tokens = sum(len(processor.EncodeAsIds(text)) for text in texts)
    characters = limit * sum(map(len, texts)) / num_tokens
    assert characters == pytest.approx(256 * 3.353, rel=0.01)
    assert limit > 300


def test_generation_limit_of_a_suite_without_exemplars_is_that_of_the_language(tmp_path):
    write_eval_data(tmp_path)
    suite = dataclasses.replace(load_suite("sample"), t5_characters_per_token=4.0)
    tasks, _ = EvalData.open(tmp_path).load_tasks(suite)
    assert generation_limit(suite, tasks, tasks[0], len) == 4 * 8
    assert generation_limit(suite, tasks, tasks[0], lambda text: 2 * len(text)) == 8 * 8


def test_generation_limit_of_a_suite_for_no_tokenizer_in_particular_is_its_own(tmp_path):
    write_eval_data(tmp_path)
    suite = load_suite("sample")
    tasks, _ = EvalData.open(tmp_path).load_tasks(suite)
    assert generation_limit(suite, tasks, tasks[0], lambda text: 100 * len(text)) == 8
