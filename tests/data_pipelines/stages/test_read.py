"""Stage read: splitting files, quarantine, and tasks in several sources."""

import json
from dataclasses import replace
from itertools import pairwise

import pyarrow.parquet as pq
import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import (
    CleanParams,
    EngineParams,
    FetchParams,
    MixParams,
    PackParams,
    ReadParams,
    TokenizerParams,
    ValidateParams,
)
from data_pipelines.stages import (
    clean,
    eval_data,
    fetch,
    mix,
    pack,
    read,
    tokenizer,
    validate,
)
from tests.data_pipelines.sources.factories import load_rows, write_part


def write_export(root, name, rows):
    (root / "export").mkdir(parents=True, exist_ok=True)
    (root / "export" / name).write_text("".join(row + "\n" for row in rows))


def make_row(i, **fields):
    return json.dumps({"inputs": f"in {i}", "targets": "out", "task_name": "t", **fields})


def read_sources(fetch_params, workspace):
    fetch.run(fetch_params, workspace)
    read.run(ReadParams(), EngineParams(workers=1, memory_mb=256), workspace)


def test_split_part_gives_the_rows_of_the_complete_file(tmp_path, monkeypatch):
    lines = [make_row(i, inputs=f"in {i} " + "x" * (i % 97)) for i in range(3000)]
    lines[1234] = '{"broken'
    # The last line does not end with a line feed.
    complete = write_part(tmp_path, "rows.jsonl", "\n".join(lines), "flan_export")
    monkeypatch.setattr(read, "SCAN_BYTES", 1000)
    size = complete.path.stat().st_size
    parts = read.split_part(complete, max_bytes=size // 7)
    assert len(parts) > 5
    assert parts[0].start == 0
    assert all(a.stop == b.start for a, b in pairwise(parts))
    rows = [row for part in parts for row in load_rows(part)]
    assert rows == load_rows(complete)


def test_read_quarantines_invalid_rows_only(tmp_path):
    root = tmp_path / "root"
    write_export(
        root,
        "a.jsonl",
        [
            make_row(0),
            make_row(1, inputs="x" * 10_000_000),
            make_row(2, targets="\ud800"),
            make_row(3, options=[1]),
            *(make_row(i) for i in range(4, 100)),
        ],
    )
    read_sources(
        FetchParams(sources=("flan/export",), root=str(root), verify=False), tmp_path / "workspace"
    )
    records = tmp_path / "workspace/data/records"
    rejected = pq.read_table(records / "quarantine.parquet").to_pylist()
    assert [(r["source_row"], r["reason"]) for r in rejected] == [
        (2, "a field has 10000000 characters, more than 200000"),
        (3, "not valid text: a lone surrogate"),
        (4, "options is not a list of text"),
    ]
    assert all(len(r["raw"]) <= 2000 for r in rejected)
    assert pq.read_table(records / "examples").num_rows == 97


def test_read_names_the_sources_that_were_not_fetched(tmp_path, caplog):
    root = tmp_path / "root"
    write_export(root, "a.jsonl", [make_row(0)])
    params = FetchParams(sources=("flan/*", "eval_data/svamp*"), root=str(root), verify=False)
    fetch.run(params, tmp_path)
    caplog.clear()
    read.run(ReadParams(), EngineParams(workers=1, memory_mb=256), tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        f"source eval_data/svamp is left out: no file matches eval/svamp/SVAMP.json below {root}"
    ]


def test_read_niv2_task_in_two_files_fails(tmp_path):
    root = tmp_path / "root"
    task = json.dumps({"Definition": ["d"], "Instances": [{"input": "i", "output": "o"}]})
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
        (root / folder / "task1_x.json").write_text(task)
    (root / "catalog.yaml").write_text(
        "mine:\n  mixture: niv2\n  format: niv2_json\n  files: ['*/task*.json']\n"
        "  licence: x\n  terms: open\n"
    )
    params = FetchParams(
        sources=("mine",), root=str(root), verify=False, catalog=str(root / "catalog.yaml")
    )
    with pytest.raises(SourceError, match=r"'task1_x' is in two files, a/task1_x\.json and b/"):
        read_sources(params, tmp_path / "workspace")


def test_read_reports_the_licence_of_each_task(tmp_path):
    root = tmp_path / "root"
    write_export(root, "a.jsonl", [make_row(0)])
    licence_by_task = {"task1_x": ["CC BY-SA 4.0"], "task2_x": ["Unknown"]}
    for name, licence in licence_by_task.items():
        task = {"Definition": ["d"], "Instances": [{"input": "i", "output": "o"}]}
        (root / f"{name}.json").write_text(json.dumps(task | {"Instance License": licence}))
    (root / "catalog.yaml").write_text(
        "tasks:\n  mixture: niv2\n  format: niv2_json\n  files: ['task*.json']\n"
        "  licence: Apache-2.0\n  terms: open\n"
        "rows:\n  mixture: muffin\n  format: flan_export\n  files: [export/a.jsonl]\n"
        "  licence: as agreed\n  terms: non-commercial\n"
    )
    params = FetchParams(
        sources=("*",), root=str(root), verify=False, catalog=str(root / "catalog.yaml")
    )
    read_sources(params, tmp_path / "workspace")
    report = json.loads((tmp_path / "workspace/data/records/report.json").read_text())
    assert {
        entry["task"]: (entry["source"], entry["licence"], entry["terms"])
        for entry in report["tasks"]
    } == {
        "task1_x": ("tasks", "CC BY-SA 4.0", "share-alike"),
        "task2_x": ("tasks", "unknown", "unstated"),
        "t": ("rows", "as agreed", "non-commercial"),
    }


def test_read_task_in_two_sources_fails(tmp_path):
    root = tmp_path / "root"
    for name in ("a.jsonl", "b.jsonl"):
        write_export(root, name, [make_row(0)])
    entry = "  mixture: muffin\n  format: flan_export\n  licence: x\n  terms: open\n"
    (root / "catalog.yaml").write_text(
        f"first:\n{entry}  files: [export/a.jsonl]\nsecond:\n{entry}  files: [export/b.jsonl]\n"
    )
    params = FetchParams(
        sources=("first", "second"),
        root=str(root),
        verify=False,
        catalog=str(root / "catalog.yaml"),
    )
    with pytest.raises(SourceError, match="'t' of muffin is in two sources, first and second"):
        read_sources(params, tmp_path / "workspace")
    read_sources(replace(params, sources=("first",)), tmp_path / "workspace")


def test_read_without_a_manifest_fails(tmp_path):
    with pytest.raises(SourceError, match=r"manifest\.json is missing; run `flanmoe fetch`"):
        read.run(ReadParams(), EngineParams(workers=1, memory_mb=256), tmp_path)


def test_stages_without_training_sources_write_empty_outputs(tmp_path):
    """Runs of 0 steps need no training data."""
    source = tmp_path / "root/eval/mmlu/test/anatomy_test.csv"
    source.parent.mkdir(parents=True)
    source.write_text("What is it?,a,b,c,d,B\n")
    workspace = tmp_path / "workspace"
    read_sources(
        FetchParams(sources=("eval_data/mmlu",), root=str(tmp_path / "root"), verify=False,
                    licences=("open", "unstated")),
        workspace,
    )  # fmt: skip
    assert pq.read_table(workspace / "data/records/examples").num_rows == 0
    engine = EngineParams(workers=1, memory_mb=256)
    eval_data.run(workspace)
    clean.run(CleanParams(), engine, workspace)
    mix.run(MixParams(), engine, workspace)
    validate.run(ValidateParams(), ReadParams(), engine, workspace)
    tokenizer.run(TokenizerParams(), engine, workspace)
    pack.run(PackParams(), engine, workspace)
    data = workspace / "data"
    assert json.loads((data / "mixture/report.json").read_text())["examples"] == 0
    assert json.loads((data / "validation/results.json").read_text()) == []
    assert json.loads((data / "tokenizer/tokenizer.json").read_text())["num_pieces"] == 0
    assert not (data / "tokenizer/spiece.model").exists()
    assert json.loads((data / "packed/train/manifest.json").read_text())["rows"] == 0
    assert (data / "packed/report.html").is_file()
