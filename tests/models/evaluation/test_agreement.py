"""The same weights and prompts through lm-evaluation-harness's own Hugging Face backend."""

import os

import pytest
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForSeq2SeqLM, T5Tokenizer

from models.evaluation import suite as suites
from models.evaluation.adapter import EncoderDecoder
from models.evaluation.batches import answer
from models.evaluation.eval_data import EvalData
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.prompts import questions
from models.evaluation.responses import ResponseCache
from models.evaluation.samples import PreparedTask
from models.evaluation.tasks import run_tasks, task_config
from tests.models.evaluation.conftest import write_benchmarks

NEW = 12
SUITES = ["mmlu_direct", "bbh_direct", "bbh_cot", "reasoning_cot", "qa_direct"]
"""Of them MMLU, BBH (direct and CoT), GSM8K, BoolQ and ARC are made here."""


@pytest.mark.parametrize("max_input", [96, 1200])
def test_every_item_scores_the_same(imported, checkpoint, tmp_path, max_input):
    """Log-probabilities within 1e-3 and their order, greedy flags, texts; prompts that lose
    examples or their start included."""
    write_benchmarks(tmp_path / "benchmarks")
    answerer = Seq2SeqPredictor.load(imported, tmp_path, max_input)
    benchmarks = EvalData.open(tmp_path / "benchmarks")
    asked = [
        PreparedTask(
            suite=suite, task=task, max_new_tokens=NEW,
            questions=questions(suite, task, answerer.length, max_input),
        )
        for suite in map(suites.load, SUITES)
        for task in benchmarks.tasks(suite)[0]
    ]  # fmt: skip
    names = {one.task.name for one in asked}
    assert {"mmlu_direct/anatomy", "bbh_cot/navigate", "reasoning_cot/gsm8k", "qa_direct/boolq",
            "qa_direct/arc_challenge"} <= names  # fmt: skip
    kept = ResponseCache(tmp_path / "responses.jsonl")
    ours = EncoderDecoder(
        answerer, lambda b: ((x, answer(x, answerer)) for x in b), kept, items=5, tokens=4000
    )
    os.environ["HF_HUB_OFFLINE"] = "1"
    theirs = HFLM(
        pretrained=AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval(),
        tokenizer=T5Tokenizer.from_pretrained(checkpoint),
        backend="seq2seq", max_length=max_input, batch_size=3, device="cpu",
    )  # fmt: skip
    found = run_tasks(ours, [task_config(one) for one in asked])
    configs = [task_config(one) for one in asked]
    for config in configs:
        if "generation_kwargs" in config:
            # Their limit of new tokens counts the prompt's for encoder-decoders.
            config["generation_kwargs"]["max_length"] = NEW + 1
    expected = run_tasks(theirs, configs)
    written = 0
    for one in asked:
        for a, b in zip(found[one.task.name], expected[one.task.name], strict=True):
            assert a["doc"] == b["doc"]
            if one.questions[0].ranked:
                for x, y in zip(a["filtered_resps"], b["filtered_resps"], strict=True):
                    assert float(x[0]) == pytest.approx(float(y[0]), abs=1e-3)
                    assert str(x[1]) == str(y[1])
                assert a["acc"] == b["acc"]
            else:
                assert a["filtered_resps"][0].strip() == b["filtered_resps"][0].strip()
                assert a["accuracy"] == b["accuracy"]
                written += bool(a["filtered_resps"][0].strip())
    assert written > 10
    dropped = sum(question.dropped for one in asked for question in one.questions)
    assert (dropped > 0) == (max_input == 96)
