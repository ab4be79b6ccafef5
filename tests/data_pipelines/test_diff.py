"""The difference of two data versions, against the rows that were edited."""

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.diff import diff_data
from data_pipelines.errors import DataError


def edit_rows(path, edit):
    """Apply `edit` to the rows of a Parquet file, and rewrite the file."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)


def test_diff_data_of_equal_versions_has_no_difference(finished_pipeline, pipeline):
    difference = diff_data(finished_pipeline.workspace, pipeline.workspace)
    assert difference["sources"] == {"added": [], "removed": [], "changed": {}}
    for name, mixture in difference["mixtures"].items():
        assert mixture["added"] == mixture["removed"] == mixture["changed"] == 0
        before, after = mixture["examples"]
        assert before == after == sum(row["mixture"] == name for row in all_rows(pipeline))
    for field in ("data_version", "tokenizer", "examples", "texts", "quarantined"):
        before, after = difference[field]
        assert before == after


def all_rows(pipeline):
    texts = [row | {"mixture": "text"} for row in pipeline.read_rows("mixture/text")]
    return pipeline.read_rows() + texts


def test_diff_data_of_repeated_rows_compares_each_repetition(pipeline, tmp_path):
    repeated = replace(pipeline.mix, num_examples=3000, repeat=True)
    other = pipeline.replace(mix=repeated).run("mix", "validate", "tokenizer", "pack")
    shutil.copytree(other.workspace, tmp_path / "edited")
    changed = other.replace(workspace=tmp_path / "edited")
    path = changed.path("mixture/examples/train-00000.parquet")

    def edit(rows):
        row = next(row for row in rows if row["repetition"] == 1)
        row["inputs"] += " more"

    edit_rows(path, edit)
    mixtures = diff_data(other.workspace, changed.workspace)["mixtures"].values()
    assert sum(m["changed"] for m in mixtures) == 1
    assert sum(m["added"] + m["removed"] for m in mixtures) == 0
    assert sum(m["examples"][0] for m in mixtures) == len(all_rows(other))


def test_diff_data_counts_added_removed_and_changed_rows(finished_pipeline, pipeline):
    path = pipeline.path("mixture/examples/train-00000.parquet")
    expected = {"added": [], "removed": [], "changed": []}

    def edit(rows):
        expected["removed"] += [(r["mixture"], r["task"]) for r in (rows.pop(), rows.pop())]
        rows[0]["inputs"] += " more"
        rows[1]["targets"] += " more"
        rows[2]["split"] = "validation"
        expected["changed"] += [(r["mixture"], r["task"]) for r in rows[:3]]
        rows.append({**rows[3], "uid": "new"})
        expected["added"].append((rows[3]["mixture"], rows[3]["task"]))

    edit_rows(path, edit)
    edit_rows(
        next(pipeline.path("mixture/text").iterdir()), lambda rows: rows[5].update(text="other")
    )
    expected["changed"].append(("text", all_rows(pipeline)[-1]["task"]))
    difference = diff_data(finished_pipeline.workspace, pipeline.workspace)
    for kind, tasks in expected.items():
        counts = {
            (mixture, task): entry[kind]
            for mixture, value in difference["mixtures"].items()
            for task, entry in value["tasks"].items()
            if entry[kind]
        }
        assert counts == {task: tasks.count(task) for task in tasks}
        assert sum(m[kind] for m in difference["mixtures"].values()) == len(tasks)
    totals = [sum(m["examples"][side] for m in difference["mixtures"].values()) for side in (0, 1)]
    assert totals == [len(all_rows(finished_pipeline)), len(all_rows(pipeline))]


def test_diff_data_names_changed_sources_shares_tokenizer_and_quarantine(
    finished_pipeline, pipeline
):
    manifest_path = pipeline.path("raw/manifest.json")
    manifest = json.loads(manifest_path.read_text())
    first, second, third = sorted(manifest["sources"])[:3]
    manifest["sources"]["new/source"] = manifest["sources"].pop(first)
    (file,) = manifest["sources"][second]["present_files"][:1]
    manifest["files"][file]["sha256"] = "0" * 64
    manifest["sources"][third]["licence"] = "MIT"
    manifest_path.write_text(json.dumps(manifest))
    edit_rows(
        pipeline.path("records/quarantine.parquet"),
        lambda rows: rows.append(
            {"source_file": "cot/a.tsv", "source_row": 7, "reason": "no answer", "raw": "q"}
        ),
    )
    smaller = replace(pipeline.tokenizer, vocab_size=400)
    weights = {"muffin": 1.0, "t0_sf": 1.0, "niv2": 1.0, "cot": 1.0}
    pipeline.replace(tokenizer=smaller, mix=replace(pipeline.mix, shares=weights)).run(
        "mix", "tokenizer"
    )
    difference = diff_data(finished_pipeline.workspace, pipeline.workspace)
    assert difference["sources"]["added"] == ["new/source"]
    assert difference["sources"]["removed"] == [first]
    assert difference["sources"]["changed"][second] == {"files_changed": [file]}
    licence = difference["sources"]["changed"][third]["licence"]
    assert licence == ["Apache-2.0 (generated)", "MIT"]
    assert [entry["vocab_size"] for entry in difference["tokenizer"]] == [500, 400]
    before, after = difference["mixtures"]["cot"]["share"]
    assert before < 0.1 < after
    assert difference["quarantine"] == {
        "cot/a.tsv": {"rows": [0, 1], "added": 1, "removed": 0, "changed": 0}
    }


def test_diff_data_of_a_folder_without_data_names_the_file(finished_pipeline, tmp_path):
    with pytest.raises(DataError, match=r"manifest\.json is missing; run `flanmoe run`"):
        diff_data(finished_pipeline.workspace, tmp_path)


def test_diff_data_of_an_older_release_says_to_run_again(finished_pipeline, pipeline):
    path = pipeline.path("raw/manifest.json")
    manifest = json.loads(path.read_text())
    for source in manifest["sources"].values():
        del source["present_files"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"no field 'present_files': an older release"):
        diff_data(finished_pipeline.workspace, pipeline.workspace)
