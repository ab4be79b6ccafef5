"""From a Hugging Face folder to a registered, scored version, without training data."""

import csv
import json
import random

import pyarrow.parquet as pq
import pytest
import sentencepiece as spm
import torch
from dvc.repo import Repo
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, T5Tokenizer

from registry.store import Registry
from tests.models.interchange.factories import save_hf_model, spiece_bytes

pytestmark = [pytest.mark.process, pytest.mark.e2e]

SUBJECTS = ("anatomy", "virology")
NUM_ITEMS = 6
MAX_INPUT_TOKENS = 200


def write_mmlu(root):
    """Write MMLU's files of two subjects: question, four choices and the answer's letter."""
    generator = random.Random(0)
    words = "the quick fox jumps why dogs Answer 42".split()  # noqa: SIM905
    for split, number in (("test", NUM_ITEMS), ("dev", 5)):
        for subject in SUBJECTS:
            path = root / "eval" / "mmlu" / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                for _ in range(number):
                    question = " ".join(generator.choices(words, k=5)) + "?"
                    choices = [" ".join(generator.choices(words, k=2)) for _ in range(4)]
                    csv.writer(file).writerow([question, *choices, generator.choice("ABCD")])


def write_checkpoint(folder):
    """Write a T5 v1.1 with its tokenizer.json, which allows 200 input tokens."""
    save_hf_model("t5_v1_1", folder)
    T5Tokenizer.from_pretrained(
        folder, extra_ids=10, model_max_length=MAX_INPUT_TOKENS
    ).save_pretrained(folder)
    (folder / "spiece.model").unlink()


def test_hugging_face_folder_becomes_a_scored_version(fresh_project, prefect_server, tmp_path):
    write_checkpoint(tmp_path / "hf")
    write_mmlu(tmp_path / "files")
    params = fresh_project.params()
    params["data_pipelines"]["fetch"] = {
        "sample": None, "root": str(tmp_path / "files"), "verify": False,
        "sources": ["eval_data/mmlu", "eval_data/mmlu_dev"],
    }  # fmt: skip
    params["models"]["runs"] = {"tiny_t5": {"preset": "imported", "start": "hf_t5", "steps": 0}}
    params["models"]["evaluation"] = {"suites": ["mmlu_direct"], "batch_size": 4}
    fresh_project.write_params(params)
    rejected = fresh_project.invoke("check")
    assert "runs/hf_t5/weights is missing" in rejected.stderr
    imported = fresh_project.invoke("models", "import", tmp_path / "hf", "runs/hf_t5/weights")
    assert imported.returncode == 0, imported.stderr
    done = fresh_project.invoke("run", PREFECT_API_URL=prefect_server.url)
    assert done.returncode == 0, done.stdout + done.stderr

    shown = fresh_project.invoke("registry", "show", "1", "--json")
    version = json.loads(shown.stdout)
    assert (version["name"], version["num_items"]) == ("tiny_t5", 2 * NUM_ITEMS)
    assert version["num_contaminated"] is None
    assert version["run_record"]["data"] == "none"
    assert version["evaluation"]["max_input_tokens"] == MAX_INPUT_TOKENS
    artifact = Registry.open(fresh_project.folder).artifacts.local_folder(version["artifact"])
    stored = spm.SentencePieceProcessor(model_file=str(artifact / "tokenizer/spiece.model"))
    assert stored.encode("the quick fox") == spm.SentencePieceProcessor(
        model_proto=spiece_bytes()
    ).encode("the quick fox")
    rows = pq.read_table(artifact / "samples.parquet").to_pylist()
    assert all(row["contaminated"] is None for row in rows)
    assert_answers_of_transformers(rows, tmp_path / "hf")
    accuracy = sum(row["score"] for row in rows) / len(rows)
    assert version["accuracy"] == pytest.approx(accuracy, abs=1e-6)

    override = fresh_project.invoke("registry", "promote", "1", "--override", "the only model")
    assert "FAILED  uncontaminated" in override.stdout
    assert fresh_project.invoke("predict", "the quick fox").returncode == 0
    unchanged = fresh_project.invoke("run", PREFECT_API_URL=prefect_server.url)
    assert "0 changed" in unchanged.stdout


def assert_answers_of_transformers(rows, checkpoint):
    """Score the options of each stored prompt with transformers, in its own tokenization."""
    model = AutoModelForSeq2SeqLM.from_pretrained(checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    answers, best_scores = [], set()
    for row in rows:
        ids = tokenizer(row["prompt"], return_tensors="pt").input_ids[:, -MAX_INPUT_TOKENS:]
        scores = {}
        for option in "ABCD":
            labels = tokenizer(option, add_special_tokens=False, return_tensors="pt").input_ids
            with torch.no_grad():
                log_probs = model(input_ids=ids, labels=labels).logits.log_softmax(-1)
            scores[option] = float(log_probs.gather(2, labels.unsqueeze(-1)).sum())
        answers.append(max(scores, key=scores.get))
        best_scores.add(round(max(scores.values()), 2))
    assert [row["answer"] for row in rows] == answers
    assert len(best_scores) > 1


def test_run_of_0_steps_writes_every_output_of_its_stage(finished_copy):
    """It evaluates the weights of another run."""
    params = finished_copy.params()
    params["models"]["runs"]["again"] = {"preset": "tiny_switch", "start": "moe_base", "steps": 0}
    finished_copy.write_params(params)
    for stage, words in (
        ("initialize@again", ("initialize", "again")),
        ("train@again-0", ("train", "again", "--seed", "0")),
        ("evaluate@again-0", ("evaluate", "again", "--seed", "0")),
    ):
        done = finished_copy.invoke(*words)
        assert done.returncode == 0, done.stderr
        with Repo(str(finished_copy.folder)) as repo:
            outputs = repo.stage.load_one(str(finished_copy.folder / "dvc.yaml"), stage).outs
        assert outputs
        assert [str(output) for output in outputs if not output.exists] == []
    scores = [
        json.loads((finished_copy.folder / f"runs/{name}/seed_0/scores.json").read_text())
        for name in ("again", "moe_base")
    ]
    assert scores[0] == scores[1]
