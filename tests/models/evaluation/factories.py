"""Evaluation files in the form that the data pipelines write, with random items."""

import hashlib
import json
import random
from pathlib import Path

from models.evaluation.averages import normalised_score
from models.evaluation.eval_data import EvalData
from models.evaluation.evaluation_record import CleanScore, TaskScore
from models.evaluation.prompts import EvalPrompt, build_prompts
from models.evaluation.suite import load_suite

WORDS = """
ducks eggs morning friends market dollars house robe bolts fiber laps meters chickens cups feed
glasses price second town buys sells half twice left total many does make every day stone water
light energy plant animal mass force heat which of these best the a is are
""".split()  # noqa: SIM905


def sentence(generator, num_words):
    return " ".join(generator.choice(WORDS) for _ in range(num_words)).capitalize()


def multiple_choice_item(generator, item_id, num_options=4):
    options = list("ABCDEF"[:num_options])
    option_texts = [sentence(generator, 3) for _ in options]
    texts = [f"({option}) {text}" for option, text in zip(options, option_texts, strict=True)]
    question = sentence(generator, 12) + "?"
    return {
        "id": item_id, "text": "\n".join([question, *texts]), "question": question,
        "choices": " ".join(texts), "answer": generator.choice("ABCDEF"[:num_options]),
        "options": options, "option_texts": option_texts,
    }  # fmt: skip


def yes_no_item(generator, item_id):
    text = f"{sentence(generator, 30)}.\nQuestion: {sentence(generator, 6)}?"
    answer = generator.choice(["yes", "no"])
    return {
        "id": item_id, "text": text, "question": text, "answer": answer, "options": ["yes", "no"],
    }  # fmt: skip


def arithmetic_item(generator, item_id):
    a, b = generator.randrange(2, 90), generator.randrange(2, 90)
    text = f"{sentence(generator, 9)} {a} {sentence(generator, 4)} {b} {sentence(generator, 3)}?"
    return {
        "id": item_id, "text": text, "question": text, "answer": str(a + b),
        "rationale": f"\n{a} + {b} = {a + b}.\nThe answer is {a + b}.",
    }  # fmt: skip


def bbh_item(generator, item_id):
    text = f"{sentence(generator, 12)}\nOptions:\n(A) {sentence(generator, 2)}\n(B) stone"
    answer = generator.choice(["(A)", "(B)"])
    return {
        "id": item_id, "text": text, "question": text, "answer": answer, "options": ["(A)", "(B)"],
        "preamble": "Choose what is best.",
        "rationale": f"\n{sentence(generator, 8)}. So the answer is {answer}.",
    }  # fmt: skip


TASK_FILES = {
    ("mmlu", "abstract_algebra"): (multiple_choice_item, 9),
    ("mmlu", "anatomy"): (multiple_choice_item, 7),
    ("mmlu_dev", "abstract_algebra"): (multiple_choice_item, 5),
    ("mmlu_dev", "anatomy"): (multiple_choice_item, 5),
    ("bbh", "navigate"): (bbh_item, 8),
    ("bbh_exemplars", "navigate"): (bbh_item, 3),
    ("gsm8k", "test"): (arithmetic_item, 8),
    ("gsm8k_exemplars", "prompt_original"): (arithmetic_item, 8),
    ("boolq", "val"): (yes_no_item, 9),
    ("arc_challenge", "ARC-Challenge-Test"): (multiple_choice_item, 6),
    ("sample", "size_of"): (arithmetic_item, 10),
    ("sample", "topic"): (yes_no_item, 10),
}
"""(Dataset, task file) -> how its items are built, and their number."""

SPLITS = {
    "test": "test",
    "val": "dev",
    "ARC-Challenge-Test": "test",
    "dev": "dev",
    "train": "train",
}
"""Task file -> its split, where it is not `all`."""


def write_eval_data(folder: Path, task_files=TASK_FILES, seed: int = 0) -> None:
    """Write task files and their index, as the stage `eval_data` does."""
    generator = random.Random(seed)
    for (dataset, task), (build_item, num_items) in task_files.items():
        path = folder / dataset / f"{task}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        items = [build_item(generator, f"{task}-{i}") for i in range(num_items)]
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
    write_index(folder)


def write_index(folder: Path, **changes) -> None:
    """Write the index of the task files in a folder; `changes` are set in every entry."""
    index = [
        {
            "suite": path.parent.name, "task": path.stem, "file": f"{path.parent.name}/{path.name}",
            "source_file": f"eval/{path.name}", "split": SPLITS.get(path.stem, "all"),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "num_items": len(path.read_text().splitlines()), "num_published": None,
            "truncated": False, "rejected": [],
        } | changes
        for path in sorted(folder.glob("*/*.jsonl"))
    ]  # fmt: skip
    (folder / "index.json").write_text(json.dumps(index))


def load_prompts(folder: Path, suite_name: str, task_name: str, max_input=10**6, num_tokens=len):
    """Return the prompts of one task and the task; by default a token is a character."""
    suite = load_suite(suite_name)
    tasks, _ = EvalData.open(folder).load_tasks(suite)
    (task,) = [task for task in tasks if task.name == f"{suite_name}/{task_name}"]
    return build_prompts(suite, task, num_tokens, max_input), task


def eval_prompt(answer: str, references=(), options=None, language="") -> EvalPrompt:
    """Build a free-text prompt, for tests of metrics."""
    return EvalPrompt(
        id="x", prompt="p", answer=answer, references=tuple(references) or (answer,),
        options=options, multiple_choice=False, num_exemplars=0, num_exemplars_dropped=0,
        language=language,
    )  # fmt: skip


def task_score(suite: str, task: str, accuracy: float, **changes) -> TaskScore:
    """Build a task's score for tests of averages."""
    fields = {
        "task": f"{suite}/{task}", "suite": suite,
        "unit": load_suite(suite).averaging_unit(f"{suite}/{task}"), "group": "",
        "weight": 0.0, "weight_in_suite": 0.0, "version": 3, "answer": "direct",
        "metric": "accuracy", "num_fewshot": 0, "num_exemplars": 0, "num_exemplars_dropped": 0,
        "max_new_tokens": 8, "source_file": "", "split": "", "num_published": None,
        "num_items": 10, "num_contaminated": 2, "partial": False, "partial_reason": "",
        "accuracy": accuracy, "standard_error": 0.02, "random_score": 0.25, "maximum": 1.0,
        "other_metrics": {}, "num_rejected": 0, "counts": {}, "flops_per_item": 100,
        "file_sha256": "",
    } | changes  # fmt: skip
    normalised = normalised_score(accuracy, fields["random_score"])
    clean = CleanScore(
        num_items=fields["num_items"] - fields["num_contaminated"],
        accuracy=accuracy,
        standard_error=fields["standard_error"],
    )
    return TaskScore(**({"clean": clean, "normalised": normalised} | fields))
