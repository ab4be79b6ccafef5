"""Small reports of the data stages, as the stages write them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.dashboard.factories import HOSTILE


def task_counts(examples, **changes):
    """Return the counts of a task in the mixture."""
    return {
        "available": 100, "characters": 20 * examples, "examples": examples, "few_shot": 1,
        "flagged": 0, "repeated": 0, "target": examples, "with_options": 0, **changes,
    }  # fmt: skip


def mix_report(*, examples=80, share=0.8, **tasks):
    """Return data/mixture/report.json of two mixtures."""
    muffin = {"qa": task_counts(examples), HOSTILE: task_counts(10), **tasks}
    mixtures = {
        "muffin": {"available": 200, "examples": examples, "share": share, "target_share": 0.75,
                   "tasks": muffin},
        "cot": {"available": 50, "examples": 20, "share": 1 - share, "target_share": 0.25,
                "tasks": {"sums": task_counts(20)}},
    }  # fmt: skip
    return {
        "examples": examples + 20, "few_shot": 3, "flagged": 0, "repeated": 0, "texts": 7,
        "validation": 5, "licences": [], "text_licences": [], "mixtures": mixtures,
    }  # fmt: skip


def write_data(folder, *, mix=None, version="v-new", num_pairs=60):
    """Write the reports of all data stages below a folder."""
    planted = {"is_verbatim": True, "num_matched": 199, "num_rows": 200}
    task = {"mixture": "muffin", "task": "qa", "num_items": 2, "num_rows": 4,
            "num_rows_same_question": 0}  # fmt: skip
    finding = {
        "suite": HOSTILE, "expectation": "expect_x", "column": "c", "limits": "", "mostly": 1,
        "elements": 9, "unexpected": 2, "observed": "7 of 9 rows", "success": False,
        "blocking": False,
    }  # fmt: skip
    corpus = {
        "rows": 9, "row_lower_bound": 8, "examples": 100, "encoder_tokens": 900,
        "decoder_tokens": 90, "encoder_fill": 0.97, "decoder_fill": 0.4, "truncated": 1,
        "lost_tokens": 2,
    }  # fmt: skip
    by_task = {"qa": {"encoder_tokens": 800, "decoder_tokens": 80, "examples": 80, "truncated": 1}}
    reports = {
        "mixture/report.json": mix or mix_report(),
        "mixture/contamination.json": {"s": {"num_items": 30, "num_contaminated": 1, "tasks": {}}},
        "mixture/self_test.json": {
            "kinds": {"case_and_punctuation": planted}, "misses": [],
            "boilerplate": {"instruction": {**planted, "is_verbatim": False, "num_matched": 0}},
            "min_recall": 0.995, "precision": 1.0,
        },
        "clean/report.json": {
            "duplicates": {"exact": 12, "near": 3}, "rows_dropped": 14, "rows_flagged": 0,
            "rows_excluded": 6, "params": {},
            "contamination": {
                "s": {"num_items": 30, "num_items_in_sources": 2, "tasks": [task]},
            },
            "tasks": [
                {"mixture": "muffin", "task": "qa", "duplicates": 12, "contaminated": 4,
                 "dropped": 14},
                {"mixture": "cot", "task": "removed", "duplicates": 0, "contaminated": 9,
                 "dropped": 9},
            ],
        },
        "records/report.json": {"examples": 97, "quarantined": 3, "sources": {}, "tasks": []},
        "packed/summary.json": {"train": corpus},
        "packed/train/manifest.json": {**corpus, "version": version, "by_task": by_task},
        "packed/validation.json": [],
        "validation/results.json": [finding, {**finding, "success": True}],
    }  # fmt: skip
    for name, report in reports.items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report))
    rejected = {
        "source_file": ["a.tsv", "a.tsv", "b.tsv"], "source_row": [1, 2, 3],
        "reason": ["no target", "no target", HOSTILE], "raw": ["x"] * 3,
    }  # fmt: skip
    pq.write_table(pa.table(rejected), folder / "data/records/quarantine.parquet")
    pairs = {
        "uid": [f"u{i}" for i in range(num_pairs)], "mixture": ["muffin"] * num_pairs,
        "task": ["qa"] * num_pairs, "suite": ["s"] * num_pairs,
        "item": [f"item-{i}" for i in range(num_pairs)], "match": ["question"] * num_pairs,
    }  # fmt: skip
    pq.write_table(pa.table(pairs), folder / "data/clean/contamination.parquet")
    params = {"params.yaml": {"data_pipelines.mix": {"caps": {"muffin": 90, "cot": 1000}}}}
    (folder / "dvc.lock").write_text(yaml.safe_dump({"stages": {"mix": {"params": params}}}))
