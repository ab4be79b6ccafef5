"""The adapter, against lm-evaluation-harness's own Hugging Face backend on the same weights."""

import os

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForSeq2SeqLM, T5Tokenizer

from models.evaluation.adapter import Seq2SeqLM
from models.evaluation.batches import Response, run_batch
from models.evaluation.eval_data import EvalData
from models.evaluation.harness_tasks import STOP_STRINGS, run_tasks, task_config
from models.evaluation.predictor import Seq2SeqPredictor
from models.evaluation.prompts import build_prompts
from models.evaluation.response_cache import ResponseCache
from models.evaluation.samples import PreparedTask
from models.evaluation.suite import load_suite
from tests.models.evaluation.factories import write_eval_data

MAX_NEW_TOKENS = 12
SUITES = ["mmlu_direct", "bbh_direct", "bbh_cot", "reasoning_cot", "qa_direct"]


def prepare_tasks(folder, predictor):
    eval_data = EvalData.open(folder)
    return [
        PreparedTask(
            suite=suite, task=task, max_new_tokens=MAX_NEW_TOKENS,
            prompts=build_prompts(suite, task, predictor.num_tokens, predictor.max_input_tokens),
        )
        for suite in map(load_suite, SUITES)
        for task in eval_data.load_tasks(suite)[0]
    ]  # fmt: skip


def run_hf_backend(checkpoint, tasks, max_input):
    os.environ["HF_HUB_OFFLINE"] = "1"
    model = HFLM(
        pretrained=AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval(),
        tokenizer=T5Tokenizer.from_pretrained(checkpoint),
        backend="seq2seq", max_length=max_input, batch_size=8, device="cpu",
    )  # fmt: skip
    configs = [task_config(task) for task in tasks]
    for config in configs:
        if "generation_kwargs" in config:
            # The backend's limit of new tokens counts the prompt's for encoder-decoders.
            config["generation_kwargs"]["max_length"] = MAX_NEW_TOKENS + 1
    return run_tasks(model, configs)


@pytest.mark.parametrize("max_input", [96, 1200])
def test_adapter_agrees_with_the_hugging_face_backend(
    imported_weights, hf_checkpoint, tmp_path, max_input
):
    """Log-probabilities within 1e-3, greedy flags, generated texts and scores of every item.

    With 96 input tokens, prompts lose exemplars or their start.
    """
    write_eval_data(tmp_path / "eval_data")
    predictor = Seq2SeqPredictor.load(imported_weights, tmp_path, max_input)
    tasks = prepare_tasks(tmp_path / "eval_data", predictor)
    assert {task.name for task in tasks} >= {
        "mmlu_direct/anatomy", "bbh_cot/navigate", "reasoning_cot/gsm8k", "qa_direct/boolq",
        "qa_direct/arc_challenge",
    }  # fmt: skip
    model = Seq2SeqLM(
        predictor,
        lambda batches: ((batch, run_batch(batch, predictor)) for batch in batches),
        ResponseCache(tmp_path / "responses.jsonl"),
        batch_size=5,
        max_batch_tokens=4000,
    )
    logs = run_tasks(model, [task_config(task) for task in tasks])
    hf_logs = run_hf_backend(hf_checkpoint, tasks, max_input)
    num_texts = 0
    for task in tasks:
        for entry, hf_entry in zip(logs[task.name], hf_logs[task.name], strict=True):
            assert entry["doc"] == hf_entry["doc"]
            responses, hf_responses = entry["filtered_resps"], hf_entry["filtered_resps"]
            if task.prompts[0].multiple_choice:
                for a, b in zip(responses, hf_responses, strict=True):
                    assert float(a[0]) == pytest.approx(float(b[0]), abs=1e-3)
                    assert str(a[1]) == str(b[1])
                assert entry["acc"] == hf_entry["acc"]
            else:
                assert responses[0].strip() == hf_responses[0].strip()
                assert entry["accuracy"] == hf_entry["accuracy"]
                num_texts += bool(responses[0].strip())
    assert num_texts > 10
    num_dropped = sum(p.num_exemplars_dropped for task in tasks for p in task.prompts)
    assert (num_dropped > 0) == (max_input == 96)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("An FAQ: page counts. The answer is 3.", "An FAQ: page counts. The answer is 3."),
        ("The answer is 3.\nQ: How many?\nA: 4", "The answer is 3."),
        ("The answer is 3.\n\nQuestion: How many?", "The answer is 3.\n"),
        ("Q: How many?", ""),
        ("Each Question: counts. The answer is 3.", "Each Question: counts. The answer is 3."),
    ],
)  # fmt: skip
def test_generate_until_stops_at_a_question_at_the_start_of_a_line_only(text, expected, tmp_path):
    response = Response(
        text=text,
        finished=True,
        num_input_tokens=1,
        num_output_tokens=(1,),
        truncated=False,
        num_unknown_pieces=0,
    )

    class Counter:
        def encode(self, prompt):
            return [1]

    model = Seq2SeqLM(
        Counter(), lambda batches: [(b, [response] * len(b.requests)) for b in batches],
        ResponseCache(tmp_path / "responses.jsonl"), batch_size=1, max_batch_tokens=9,
    )  # fmt: skip
    options = {"until": STOP_STRINGS, "max_gen_toks": 8}
    request = Instance(request_type="generate_until", doc={}, arguments=("prompt", options), idx=0)
    assert model.generate_until([request]) == [expected]


def test_loglikelihood_rolling_is_unsupported(imported_weights, tmp_path):
    predictor = Seq2SeqPredictor.load(imported_weights, tmp_path)
    model = Seq2SeqLM(
        predictor, lambda batches: [], ResponseCache(tmp_path / "responses.jsonl"),
        batch_size=1, max_batch_tokens=1,
    )  # fmt: skip
    with pytest.raises(NotImplementedError, match="no perplexity"):
        model.loglikelihood_rolling([])
