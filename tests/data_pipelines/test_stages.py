"""fetch, benchmarks, mix, validate, tokenizer, pack: one after the other, on a small sample."""

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.errors import DataError, ExpectationFailed, SourceError
from data_pipelines.example import EXAMPLE_SCHEMA, RECORD_SCHEMA
from data_pipelines.packed import PackedCorpus
from data_pipelines.report.gather import gather
from data_pipelines.stages import fetch
from tests.data_pipelines.conftest import rows_of, table


def bytes_below(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_manifest_pins_every_file(made):
    raw = made.workspace / "data" / "raw"
    manifest = made.json("raw/manifest.json")
    files = {p.relative_to(raw).as_posix() for p in raw.rglob("*") if p.is_file()}
    assert set(manifest["files"]) == files - {"manifest.json"}
    name = "cot/sample_add_story_train.tsv"
    assert manifest["files"][name]["sha256"] == fetch.sha256(raw / name)
    assert name in manifest["sources"]["sample/cot"]["found"]


def test_records_and_mixture_follow_the_contract_and_the_published_shares(made):
    assert table(made, "records/examples").schema.equals(RECORD_SCHEMA)
    assert table(made).schema.equals(EXAMPLE_SCHEMA)
    rows = rows_of(made)
    assert len({row["uid"] for row in rows}) == len(rows)
    report = made.json("mixture/report.json")
    assert report["examples"] == len(rows)
    for name, share in {"muffin": 0.460, "t0_sf": 0.279, "niv2": 0.242, "cot": 0.018}.items():
        mixture = report["mixtures"][name]
        assert mixture["examples"] == sum(row["mixture"] == name for row in rows)
        assert mixture["target_share"] == pytest.approx(share / 0.999, abs=0.002)
        assert mixture["share"] == pytest.approx(share / 0.999, abs=0.03)
    train = {row["inputs"] for row in rows if row["split"] == "train"}
    assert not train & {row["inputs"] for row in rows if row["split"] == "validation"}


def test_every_window_but_the_last_is_full_and_in_an_order_by_chance(made):
    folder = made.workspace / "data/mixture/examples"
    sizes = [pq.read_metadata(path).num_rows for path in sorted(folder.glob("train-*"))]
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {300}
    first = pq.read_table(sorted(folder.glob("train-*"))[0])["mixture"].to_pylist()
    assert first.count("muffin") == pytest.approx(138, abs=40)


def test_few_shot_examples_come_from_the_same_task_and_template_of_the_training_split(made):
    rows = rows_of(made)
    records = {row["uid"]: row for row in rows_of(made, "records/examples")}
    composed = [row for row in rows if row["shots"] > records[row["uid"]]["shots"]]
    composing = [row for row in rows if records[row["uid"]]["allow_exemplars"]]
    assert 0.3 < len(composed) / len(composing) < 0.55  # half, less those without others
    train = {row["uid"] for row in rows if row["split"] == "train"}
    shown = {
        (r["task"], r["template"], r["inputs"]): r["targets"]
        for uid, r in records.items()
        if uid in train
    }
    for row in composed:
        own = records[row["uid"]]["inputs"]
        assert row["inputs"].endswith("\n\n" + own)
        assert len(row["inputs"]) <= made.mix.max_few_shot_characters
        blocks = row["inputs"].removesuffix("\n\n" + own)
        # The worked examples, end to end, are rows of this task and template, with their answers.
        count = 0
        while blocks:
            block = next(
                text
                for (task, template, inputs), targets in shown.items()
                if (task, template) == (row["task"], row["template"]) and inputs != own
                for text in (f"{inputs}\n{targets}", f"{inputs} {targets}")
                if blocks == text or blocks.startswith(text + "\n\n")
            )
            blocks = blocks[len(block) + 2 :]
            count += 1
        assert count == row["shots"]


def test_again_gives_the_same_bytes_on_any_number_of_workers_and_another_seed_others(made, room):
    before = bytes_below(made.workspace / "data")
    workers = replace(made.engine, workers=2)
    room.but(engine=workers).run("read", "clean", "mix", "validate", "tokenizer", "pack")
    assert bytes_below(room.workspace / "data") == before
    mixture = {n: data for n, data in before.items() if n.startswith("mixture/")}
    room.but(mix=replace(made.mix, seed=1)).run("mix")
    other = bytes_below(room.workspace / "data")
    assert {n: data for n, data in other.items() if n.startswith("mixture/")} != mixture
    # Nothing of the other run is remembered in this process.
    room.run("mix")
    assert bytes_below(room.workspace / "data") == before


def test_refused_rows_are_counted_with_file_row_and_reason(room):
    path = room.workspace / "data/raw/cot/sample_add_story_train.tsv"
    path.write_text(path.read_text() + "broken row\n")
    room.run("read")
    (row,) = rows_of(room, "records/quarantine.parquet")
    assert row == {
        "source_file": "cot/sample_add_story_train.tsv",
        "source_row": 61,
        "reason": "1 columns instead of 3",
        "raw": "broken row",
    }
    assert room.json("records/report.json")["sources"]["sample/cot"]["quarantined"] == 1


def test_a_source_that_loses_too_much_fails_by_name(room):
    path = room.workspace / "data/raw/cot/sample_add_story_train.tsv"
    before = bytes_below(room.workspace / "data/records")
    path.write_text("broken row\n" * 20 + path.read_text())
    told = r"source sample/cot: 20 of 260 rows cannot be read, first cot/.*add_story.*, row 1:"
    with pytest.raises(SourceError, match=told):
        room.run("read")
    assert bytes_below(room.workspace / "data/records") == before  # the old ones are untouched


def test_text_from_examples(room):
    room.but(mix=replace(room.mix, text="examples")).run("mix")
    texts = [row["text"] for row in rows_of(room, "mixture/text")]
    train = [r for r in rows_of(room) if r["split"] == "train"]
    assert sorted(texts) == sorted(f"{r['inputs']} {r['targets']}" for r in train)


def test_without_any_text_there_is_nothing_to_pretrain_on_and_that_is_said(room):
    shutil.rmtree(room.workspace / "data/mixture/text")
    (room.workspace / "data/mixture/text").mkdir()
    room.run("validate", "tokenizer", "pack")
    with pytest.raises(DataError, match=r"pretrain holds no rows: .*mix.text: examples"):
        PackedCorpus.open(room.workspace / "data/packed/pretrain")
    assert len(PackedCorpus.open(room.workspace / "data/packed/train"))


def test_expectations_hold_and_leave_a_page(made):
    page = (made.workspace / "data/validation/report.html").read_text()
    assert "0 blocking failed" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is loaded from elsewhere
    results = made.json("validation/results.json")
    assert {r["suite"] for r in results} == {
        "raw examples", "muffin", "t0_sf", "niv2", "cot", "mixtures", "label balance",
        "overlap with evaluation", "quarantine",
    }  # fmt: skip
    assert all(r["success"] for r in results if r["blocking"])
    packed = made.json("packed/validation.json")
    assert {r["suite"] for r in packed} == {"packed train", "packed validation", "packed pretrain"}
    assert all(r["success"] for r in packed)


def change(room, folder, edit):
    """One row of the first file, changed."""
    path = sorted((room.workspace / "data" / folder).glob("*.parquet"))[0]
    whole = pq.read_table(path)
    rows = whole.to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, whole.schema), path)


def no_option(rows):
    next(row for row in rows if row["options"])["targets"] = "none of them"


def no_inputs(rows):
    rows[0]["inputs"] = ""


def twice(rows):
    other = next(row for row in rows[1:] if row["mixture"] == rows[0]["mixture"])
    other["uid"] = rows[0]["uid"]


def binary(rows):
    for row in rows[:20]:
        row["inputs"] = "\x00\ufffd"


@pytest.mark.parametrize(
    ("folder", "edit", "column"),
    [
        ("mixture/examples", no_option, "target_is_an_option"),
        ("mixture/examples", no_inputs, "inputs_characters"),
        ("mixture/examples", twice, "repeated_uids"),
        ("records/examples", no_inputs, "inputs_characters"),
        ("records/examples", binary, "inputs_broken"),
    ],
)
def test_a_failed_expectation_stops_and_leaves_the_report(room, folder, edit, column):
    change(room, folder, edit)
    with pytest.raises(ExpectationFailed, match=rf"{column}.*report\.html"):
        room.run("validate")
    failed = [r for r in room.json("validation/results.json") if not r["success"] and r["blocking"]]
    assert [r["column"] for r in failed] == [column]


def test_a_missing_column_is_a_failed_expectation_not_a_crash(room):
    for path in (room.workspace / "data/mixture/examples").glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["source_file"]), path)
    with pytest.raises(ExpectationFailed, match="source_file"):
        room.run("validate")


def test_too_few_examples_stop(room):
    with pytest.raises(ExpectationFailed, match=r"mixtures: .*examples .*min_value=500"):
        room.but(validate=replace(room.validate, min_examples=500)).run("validate")


@pytest.mark.parametrize(
    ("limits", "column"),
    [
        ({"max_duplicate_share": -1.0}, "repeated_share"),
        ({"share_tolerance": -1.0}, "share_off_target"),
        ({"max_answer_share": 0.1}, "answer_share"),
        ({"min_english_share": 1.1}, "english_share"),
        ({"max_contaminated_share": -1.0}, "contaminated_share"),
    ],
)
def test_a_warning_goes_on_and_is_told(room, limits, column):
    room.but(validate=replace(room.validate, **limits)).run("validate")
    warned = [r for r in room.json("validation/results.json") if not r["success"]]
    assert [(r["column"], r["blocking"]) for r in warned] == [(column, False)]
    room.run("pack")
    assert column in [f["column"] for f in gather(room.workspace)["expectations"]["warnings"]]


def test_the_report_adds_up(made):
    report = gather(made.workspace)
    packed = report["packing"]
    assert packed["train"]["examples"] + packed["validation"]["examples"] == report["examples"]
    for key in ("encoder_tokens", "decoder_tokens", "truncated"):
        by_task = sum(t[key] for m in report["mixtures"].values() for t in m["tasks"].values())
        assert by_task == packed["train"][key] + packed["validation"][key]
    tasks = [t for m in report["mixtures"].values() for t in m["tasks"].values()]
    assert sum(t["dropped"] for t in tasks) == report["rows_dropped"]
    assert sum(t["duplicates"] for t in tasks) == sum(report["duplicates"].values())
    assert all(t["examples"] <= min(t["available"], t["target"]) for t in tasks)
    read = made.json("records/report.json")
    available = sum(m["available"] for m in report["mixtures"].values())
    assert available + report["rows_dropped"] + report["held_out"] == read["examples"]
    assert packed["train"]["row_lower_bound"] <= packed["train"]["rows"]
    page = (made.workspace / "data/packed/report.html").read_text()
    assert f"{report['examples']:,}" in page
    assert "http" not in page


def test_a_report_before_its_stages(tmp_path):
    with pytest.raises(DataError, match="run `flanmoe fetch`"):
        gather(tmp_path)


def test_every_item_of_every_suite_guards(room):
    index = room.json("eval_data/index.json")
    assert {entry["num_items"] for entry in index} == {12}
    guard = pq.read_table(room.workspace / "data/eval_data/eval_items.parquet")
    assert len(guard) == 12 * len(index)
    room.run("benchmarks")
    assert room.json("eval_data/index.json") == index


def test_published_ids_that_are_not_unique_are_told_apart(room):
    file = next((room.workspace / "data/raw/benchmarks/sample").glob("size_of.jsonl"))
    first, *others = file.read_text().splitlines()
    file.write_text("\n".join([first, first, *others]) + "\n")
    room.run("benchmarks")
    lines = (room.workspace / "data/eval_data/sample/size_of.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines[:2]] == ["size_of-0", "size_of-0#2"]


def test_without_a_suite_there_is_nothing_to_score(room):
    path = room.workspace / "data/raw/manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["sources"]["sample/benchmarks"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(SourceError, match="there is no evaluation suite"):
        room.run("benchmarks")
