"""Loaders and stages on the published files; skipped unless FLANMOE_FLAN_FILES names their folder.

The README describes the folder. The expected numbers hold for files with the catalog's hashes.
"""

import os
from collections import Counter

import pyarrow.parquet as pq
import pytest

from data_pipelines import catalog
from data_pipelines.example import Example, RejectedRow
from data_pipelines.files import sha256
from data_pipelines.sources import niv2
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.eval_data.table import READERS
from data_pipelines.sources.part import Part
from tests.data_pipelines.real_files import ALL_SOURCES, NUM_ITEMS, ROOT
from tests.data_pipelines.sources.factories import load_rows

pytestmark = pytest.mark.skipif(
    "FLANMOE_FLAN_FILES" not in os.environ,
    reason="FLANMOE_FLAN_FILES does not name a folder with the published files",
)

SOURCES = catalog.load(catalog.BUILT_IN)


def make_parts(name):
    """Yield every file of a source of the catalog as a Part."""
    source = SOURCES[name]
    for file in sorted(f for pattern in source.files for f in ROOT.glob(pattern)):
        yield Part(
            source=name, mixture=source.mixture, format=source.format, path=file,
            name=file.relative_to(ROOT).as_posix(), options=source.options,
        )  # fmt: skip


def load_source(name):
    return [row for part in make_parts(name) for row in load_rows(part)]


def test_cot_source_preserves_every_row_and_quotation_mark():
    rows = load_source("cot/flan")
    assert all(isinstance(row, Example) for row in rows)
    for part in make_parts("cot/flan"):
        data = part.path.read_bytes()
        file_rows = [row for row in rows if row.source_file == part.name]
        assert len(file_rows) == data.count(b"\n") + (not data.endswith(b"\n"))
        questions = [line.split(b"\t")[0] for line in data.split(b"\n") if line]
        num_quotes = sum(question.count(b'"') for question in questions)
        assert sum(row.question.count('"') for row in file_rows) == num_quotes
    assert sum(row.task == "cot_gsm8k" for row in rows) == 7473


def test_niv2_source_has_97_tasks_and_few_rejected_rows():
    tasks = {part.path.stem for part in make_parts("niv2/tasks")}
    rows = load_source("niv2/tasks")
    examples = [row for row in rows if isinstance(row, Example)]
    assert {row.task for row in examples} == tasks
    assert len(tasks) == 97
    assert len(rows) - len(examples) < 0.001 * len(rows)
    assert all(row.references for row in examples)
    official = set((ROOT / "niv2/splits/default/test_tasks.txt").read_text().split())
    assert {row.task for row in examples if row.split == "test"} == tasks & official
    assert tasks & official


def test_niv2_licences_are_those_of_the_task_files():
    licences = [niv2.read_licence(part) for part in make_parts("niv2/tasks")]
    assert Counter(terms for _, terms in licences) == {
        "unstated": 44, "open": 35, "share-alike": 10, "non-commercial": 8,
    }  # fmt: skip
    assert sum(licence == "unknown" for licence, _ in licences) == 41


NUM_ROWS = {
    "ag_news": 7600, "arc": 1117, "boolq": 32, "cb": 32, "commonsense_qa": 1221, "copa": 32,
    "cosmos_qa": 2985, "dart": 6980, "dream": 2040, "e2e": 4672, "mrpc": 4076, "multirc": 154,
    "piqa": 1838, "qasc": 926, "qed": 1355, "quail": 556, "record": 32, "rotten_tomatoes": 10662,
    "rte": 32, "sst2": 6920, "trec": 5452, "wic": 32, "wsc": 32,
}  # fmt: skip


@pytest.mark.parametrize("name", NUM_ROWS)
def test_muffin_source_rejects_no_row(name):
    rows = load_source(f"muffin/{name}")
    assert not [row for row in rows if isinstance(row, RejectedRow)]
    assert len(rows) == NUM_ROWS[name]
    assert len({row.uid for row in rows}) == len(rows)
    assert all(row.options is None or row.targets in row.options for row in rows)
    if name == "cosmos_qa":
        assert any("None of the above" in row.answer for row in rows)
    if name == "trec":
        assert any(not row.question.isascii() for row in rows)
    if name == "e2e":
        assert len({row.question for row in rows}) == 547


T0_SOURCES = [name for name in SOURCES if name.startswith("t0/")]


@pytest.mark.parametrize("name", T0_SOURCES)
def test_t0_source_renders_every_row_of_its_training_sets(name):
    rows = load_source(name)
    assert not [row.reason for row in rows if isinstance(row, RejectedRow)]
    is_held_out = name in ("t0/cb", "t0/rte")  # evaluation tasks of T0
    assert len(rows) == (0 if is_held_out else NUM_ROWS[name.removeprefix("t0/")])
    if len(rows) > 500:
        assert len({row.template for row in rows}) >= 4


@pytest.mark.parametrize("suite", NUM_ITEMS)
def test_eval_data_source_has_the_published_items(suite):
    name = f"eval_data/{suite}"
    rows = [row for part in make_parts(name) for row in READERS[part.format](part)]
    items = [row for row in rows if isinstance(row, EvalItem)]
    assert (len(items), len(rows) - len(items)) == NUM_ITEMS[suite]
    assert all(item.answer in item.options for item in items if item.options)
    assert all(item.question.strip() for item in items)
    answers = [item.answer for item in items]
    if suite == "asdiv":
        assert sum(";" in answer for answer in answers) == 90  # several values
        assert answers[0] == "9"
    if suite == "svamp":
        assert "51" in answers
        assert not any(answer.endswith(".0") for answer in answers)
    if suite == "mgsm":
        assert not any("," in answer for answer in answers)
    if suite == "tydiqa":
        assert any(len(item.references) > 1 for item in items)
        assert all(item.answer == item.references[0] for item in items)
    if suite == "strategyqa":
        assert all(item.rationale.endswith(f"The answer is {item.answer}.") for item in items)
    if suite == "mmlu":
        assert any(") None\n" in item.text for item in items)


PARTIAL_TASKS = {
    # (suite, task): (items, items of the complete published file). All others are complete.
    ("gsm8k", "test"): (660, 1319), ("svamp", "SVAMP"): (700, 1000), ("boolq", "val"): (2000, 3270),
    ("elementary_science", "AI2-Elementary-NDMC-Feb2016-Train"): (300, 432),
    ("strategyqa_bigbench", "task"): (500, 2290),
}  # fmt: skip


@pytest.mark.process
def test_eval_data_of_published_files_has_the_published_sizes(real_pipeline):
    index = real_pipeline.read_json("eval_data/index.json")
    sized = [entry for entry in index if entry["num_published"] is not None]
    assert {(e["suite"], e["task"]): (e["num_items"], e["num_published"])
            for e in sized if e["num_items"] != e["num_published"]} == PARTIAL_TASKS  # fmt: skip
    assert len(sized) == 21 + 45 + 45 + 8 + 6 + 11
    splits = {(e["suite"], e["split"]) for e in sized}
    assert ("strategyqa", "train") in splits
    assert ("arc_easy", "dev") in splits


NUM_EXEMPLARS = {"bbh": (63, 0), "mmlu_cot": (223, 0), "gsm8k": (32, 0)}


@pytest.mark.parametrize("name", NUM_EXEMPLARS)
def test_exemplar_source_has_rationales(name):
    rows = [row for part in make_parts(f"exemplars/{name}") for row in READERS[part.format](part)]
    items = [row for row in rows if isinstance(row, EvalItem)]
    assert (len(items), len(rows) - len(items)) == NUM_EXEMPLARS[name]
    assert all(item.rationale and item.answer for item in items)


# All stages ---------------------------------------------------------------------------------------


@pytest.mark.process
def test_clean_published_files_detects_the_known_duplicates(real_pipeline):
    """T0-SF repeats TREC; NIV2, in the full tier, also CommonsenseQA and half of SST-2."""
    rows = pq.read_table(real_pipeline.path("records/examples"), columns=["uid", "task"])
    task_of = dict(zip(rows["uid"].to_pylist(), rows["task"].to_pylist(), strict=True))
    duplicates = real_pipeline.read_rows("clean/duplicates.parquet")
    pairs = Counter(
        frozenset((task_of[row["uid"]], task_of[row["duplicate_of"]])) for row in duplicates
    )
    across = {tuple(sorted(pair)) for pair in pairs if len(pair) == 2}
    assert ("ag_news", "ai2_arc_ARC-Challenge") not in across
    assert ("arc", "ai2_arc_ARC-Challenge")[::-1] in across
    assert sum(n for pair, n in pairs.items() if len(pair) == 2) > 1000


@pytest.mark.process
def test_mix_and_pack_published_files_have_the_published_shares_and_full_rows(real_pipeline):
    report = real_pipeline.read_json("mixture/report.json")
    for entry in report["mixtures"].values():
        assert entry["share"] == pytest.approx(entry["target_share"], abs=0.01)
    assert report["few_shot"] / report["examples"] == pytest.approx(0.5, abs=0.05)
    manifest = real_pipeline.read_json("packed/train/manifest.json")
    assert manifest["encoder_fill"] >= 0.96
    assert manifest["rows"] <= 1.02 * manifest["row_lower_bound"]


@pytest.mark.process
def test_fetch_every_file_of_the_catalog_has_its_hash(real_pipeline):
    hashes = catalog.load_hashes(catalog.BUILT_IN)
    files = real_pipeline.read_json("raw/manifest.json")["files"]
    if set(ALL_SOURCES) <= set(real_pipeline.fetch.sources):
        assert hashes.keys() <= files.keys()
    assert all(file["sha256"] == hashes.get(name) for name, file in files.items())
    assert sha256(ROOT / "eval/gsm8k/test.jsonl") == hashes["eval/gsm8k/test.jsonl"]
