"""The published files themselves, where FLANMOE_FLAN_FILES names their folder (see README)."""

import os
from pathlib import Path

import pytest

from data_pipelines.example import Example, Refused
from data_pipelines.params import MixParams
from data_pipelines.sources import cot, niv2
from data_pipelines.sources.benchmarks import READERS, Item

ROOT = Path(os.environ.get("FLANMOE_FLAN_FILES", ""))

pytestmark = pytest.mark.skipif(
    "FLANMOE_FLAN_FILES" not in os.environ,
    reason="FLANMOE_FLAN_FILES does not name a folder with the published files",
)


def rows_of(loader, pattern):
    for path in sorted(ROOT.glob(pattern)):
        yield from loader.load(path, path.name, MixParams())


def test_cot_keeps_every_row_and_every_quotation_mark():
    rows = list(rows_of(cot, "cot/flan_v2/*_train.tsv"))
    assert all(isinstance(row, Example) for row in rows)
    for path in ROOT.glob("cot/flan_v2/*_train.tsv"):
        raw = path.read_bytes()
        found = [row for row in rows if row.source_file == path.name]
        assert len(found) == raw.count(b"\n") + (not raw.endswith(b"\n"))
        # Rationales are only shown to half of the rows: look at the questions.
        questions = [line.split(b"\t")[0] for line in raw.split(b"\n") if line]
        marks = sum(question.count(b'"') for question in questions)
        assert sum(row.inputs.count('"') for row in found) == marks
    assert sum(row.source_file == "gsm8k_train.tsv" for row in rows) == 7473


def test_every_niv2_task_loads():
    tasks = {path.stem for path in ROOT.glob("niv2/tasks/*.json")}
    rows = list(rows_of(niv2, "niv2/tasks/*.json"))
    examples = [row for row in rows if isinstance(row, Example)]
    assert {row.task for row in examples} == tasks
    assert len(rows) - len(examples) < 0.01 * len(rows)
    # Bare strings where lists belong: some re-exports.
    assert all(row.references for row in examples)


@pytest.mark.parametrize(
    ("suite", "folder", "items", "refused"),
    [
        # One row of movie_recommendation and two of ruin_names are torn upstream.
        ("bbh", "eval/bbh/bbh", 5008, 3),
        ("mmlu", "eval/mmlu/test", 12244, 0),
        ("gsm8k", "eval/gsm8k", 660, 0),
    ],
)
def test_benchmarks(suite, folder, items, refused):
    pattern, read = READERS[suite]
    paths = sorted((ROOT / folder).glob("test.jsonl" if suite == "gsm8k" else pattern))
    rows = [row for path in paths for row in read(path)]
    assert sum(isinstance(row, Item) for row in rows) == items
    assert sum(isinstance(row, Refused) for row in rows) == refused
    for row in rows:
        if isinstance(row, Item) and row.options:
            assert row.answer in row.options


def test_mmlu_text_none_is_text():
    _, read = READERS["mmlu"]
    paths = sorted((ROOT / "eval/mmlu/test").glob("*.csv"))
    prompts = [row.prompt for path in paths for row in read(path) if isinstance(row, Item)]
    assert any(") None\n" in prompt for prompt in prompts)
