"""Reading: in parts as in one piece, whatever stands in a row, and who owns a task."""

import json
from dataclasses import replace
from itertools import pairwise

import pyarrow.parquet as pq
import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import FetchParams
from data_pipelines.stages import read
from tests.data_pipelines.conftest import Room, load


def export(root, name, rows):
    (root / "export").mkdir(parents=True, exist_ok=True)
    (root / "export" / name).write_text("".join(row + "\n" for row in rows))


def row(i, **fields):
    return json.dumps({"inputs": f"in {i}", "targets": "out", "task_name": "t", **fields})


def room_of(tmp_path, root, **changes):
    return Room(
        tmp_path / "workspace",
        fetch=FetchParams(sources=("flan/export",), root=str(root), verify=False),
        **changes,
    )


def records(room):
    return pq.read_table(room.workspace / "data/records/examples").to_pylist()


def test_a_large_file_in_parts_is_the_file_in_one_piece(part, monkeypatch):
    lines = [row(i, inputs=f"in {i} " + "x" * (i % 97)) for i in range(3000)]
    lines[1234] = '{"broken'
    whole = part("rows.jsonl", "\n".join(lines), "flan_export")  # no line feed at the end
    monkeypatch.setattr(read, "SCAN", 1000)
    size = whole.path.stat().st_size
    parts = read.cut(whole, most=size // 7)
    assert len(parts) > 5
    assert parts[0].start == 0
    assert all(a.stop == b.start for a, b in pairwise(parts))
    found = [example for piece in parts for example in load(piece)]
    assert found == load(whole)


def test_rows_that_must_not_get_through_are_quarantined_alone(tmp_path):
    root = tmp_path / "root"
    export(
        root,
        "a.jsonl",
        [row(0), row(1, inputs="x" * 10_000_000), row(2, targets="\ud800"), row(3, options=[1]),
         *(row(i) for i in range(4, 100))],
    )  # fmt: skip
    room = room_of(tmp_path, root).run("fetch", "read")
    refused = pq.read_table(tmp_path / "workspace/data/records/quarantine.parquet").to_pylist()
    assert [(r["source_row"], r["reason"]) for r in refused] == [
        (2, "a field of 10000000 characters, more than 200000"),
        (3, "half a surrogate pair: not text"),
        (4, "options is no list of text"),
    ]
    assert all(len(r["raw"]) <= 2000 for r in refused)
    assert len(records(room)) == 97


def test_a_task_of_two_niv2_files(tmp_path):
    root = tmp_path / "root"
    task = json.dumps({"Definition": ["d"], "Instances": [{"input": "i", "output": "o"}]})
    for folder in ("a", "b"):
        (root / folder).mkdir(parents=True)
        (root / folder / "task1_x.json").write_text(task)
    (root / "catalog.yaml").write_text(
        "mine:\n  mixture: niv2\n  format: niv2_json\n  files: ['*/task*.json']\n"
        "  licence: x\n  terms: open\n"
    )
    fetch = FetchParams(
        sources=("mine",), root=str(root), verify=False, catalog=str(root / "catalog.yaml")
    )
    room = Room(tmp_path / "workspace", fetch=fetch)
    with pytest.raises(SourceError, match=r"'task1_x' is in two files, a/task1_x\.json and b/"):
        room.run("fetch", "read")


def test_a_task_of_two_sources(tmp_path):
    root = tmp_path / "root"
    for name in ("a.jsonl", "b.jsonl"):
        export(root, name, [row(0)])
    entry = "  mixture: muffin\n  format: flan_export\n  licence: x\n  terms: open\n"
    (root / "catalog.yaml").write_text(
        f"one:\n{entry}  files: [export/a.jsonl]\ntwo:\n{entry}  files: [export/b.jsonl]\n"
    )
    fetch = FetchParams(
        sources=("one", "two"), root=str(root), verify=False, catalog=str(root / "catalog.yaml")
    )
    room = Room(tmp_path / "workspace", fetch=fetch).run("fetch")
    with pytest.raises(SourceError, match="'t' of muffin comes from two sources, one and two"):
        room.run("read")
    room.but(fetch=replace(fetch, sources=("one",))).run("fetch", "read")


def test_nothing_to_read(tmp_path):
    with pytest.raises(SourceError, match=r"manifest\.json is missing; run `flanmoe fetch`"):
        Room(tmp_path).run("read")
