"""Stage mix: schema, shares, order, few-shot exemplars, determinism."""

import re
from collections import defaultdict
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from data_pipelines.example import EXAMPLE_SCHEMA, RECORD_SCHEMA


def test_mix_outputs_have_the_schemas_and_published_shares(finished_pipeline):
    assert finished_pipeline.read_table("records/examples").schema.equals(RECORD_SCHEMA)
    assert finished_pipeline.read_table().schema.equals(EXAMPLE_SCHEMA)
    rows = finished_pipeline.read_rows()
    assert len({row["uid"] for row in rows}) == len(rows)
    report = finished_pipeline.read_json("mixture/report.json")
    assert report["examples"] == len(rows)
    for name, share in {"muffin": 0.460, "t0_sf": 0.279, "niv2": 0.242, "cot": 0.018}.items():
        mixture = report["mixtures"][name]
        assert mixture["examples"] == sum(row["mixture"] == name for row in rows)
        assert mixture["target_share"] == pytest.approx(share / 0.999, abs=0.002)
        assert mixture["share"] == pytest.approx(share / 0.999, abs=0.03)


def test_mix_splits_share_no_inputs(finished_pipeline):
    rows = finished_pipeline.read_rows()
    train = {row["inputs"] for row in rows if row["split"] == "train"}
    assert not train & {row["inputs"] for row in rows if row["split"] == "validation"}


def test_mix_shards_except_the_last_are_full_and_shuffled(finished_pipeline):
    shards = sorted(finished_pipeline.path("mixture/examples").glob("train-*"))
    sizes = [pq.read_metadata(path).num_rows for path in shards]
    assert len(sizes) > 2
    assert set(sizes[:-1]) == {300}
    mixtures = pq.read_table(shards[0])["mixture"].to_pylist()
    assert mixtures.count("muffin") == pytest.approx(138, abs=40)


def test_mix_exemplars_have_the_task_and_template_of_their_example_and_are_from_training(
    finished_pipeline,
):
    rows = finished_pipeline.read_rows()
    records = {row["uid"]: row for row in finished_pipeline.read_rows("records/examples")}
    few_shot = [r for r in rows if r["num_exemplars"] > records[r["uid"]]["num_exemplars"]]
    num_allowed = sum(records[row["uid"]]["allow_exemplars"] for row in rows)
    # `few_shot_share` is 0.5; rows whose task and template have no other example get no exemplar.
    assert 0.3 < len(few_shot) / num_allowed < 0.55
    train = {row["uid"] for row in rows if row["split"] == "train"}
    targets_by_exemplar = {
        (r["task"], r["template"], r["inputs"]): r["targets"]
        for uid, r in records.items()
        if uid in train
    }
    for row in few_shot:
        inputs = records[row["uid"]]["inputs"]
        assert row["inputs"].endswith("\n\n" + inputs)
        assert len(row["inputs"]) <= finished_pipeline.mix.max_few_shot_characters
        blocks = row["inputs"].removesuffix("\n\n" + inputs)
        # The text before the inputs consists of exemplars, each followed by its target.
        count = 0
        while blocks:
            block = next(
                text
                for (task, template, other), targets in targets_by_exemplar.items()
                if (task, template) == (row["task"], row["template"]) and other != inputs
                for text in (f"{other}\n{targets}", f"{other} {targets}")
                if blocks == text or blocks.startswith(text + "\n\n")
            )
            blocks = blocks[len(block) + 2 :]
            count += 1
        assert count == row["num_exemplars"]


def test_mix_names_the_exemplars_of_each_prompt(finished_pipeline):
    records = {row["uid"]: row for row in finished_pipeline.read_rows("records/examples")}
    for row in finished_pipeline.read_rows():
        num_prepended = row["num_exemplars"] - records[row["uid"]]["num_exemplars"]
        assert len(row["exemplars"]) == num_prepended
        prompt = row["inputs"]
        for uid in row["exemplars"]:
            inputs, targets = records[uid]["inputs"], records[uid]["targets"]
            assert prompt.startswith((f"{inputs}\n{targets}\n\n", f"{inputs} {targets}\n\n"))
            prompt = prompt[len(inputs) + len(targets) + 3 :]
        assert prompt == records[row["uid"]]["inputs"]


@pytest.mark.process
def test_stages_with_two_workers_write_the_same_bytes(finished_pipeline, pipeline):
    expected = finished_pipeline.read_bytes()
    engine = replace(finished_pipeline.engine, workers=2)
    pipeline.replace(engine=engine).run("read", "clean", "mix", "validate", "tokenizer", "pack")
    assert pipeline.read_bytes() == expected


def test_mix_with_another_seed_differs_and_with_the_same_seed_is_reproducible(
    finished_pipeline, pipeline
):
    expected = finished_pipeline.read_bytes("mixture")
    pipeline.replace(mix=replace(pipeline.mix, seed=1)).run("mix")
    assert pipeline.read_bytes("mixture") != expected
    # The exemplar pool of the other seed must not be used from the cache.
    pipeline.run("mix")
    assert pipeline.read_bytes("mixture") == expected


def test_mix_with_text_from_examples_writes_the_training_split(pipeline):
    pipeline.replace(mix=replace(pipeline.mix, text="examples")).run("mix")
    texts = [row["text"] for row in pipeline.read_rows("mixture/text")]
    train = [row for row in pipeline.read_rows() if row["split"] == "train"]
    assert sorted(texts) == sorted(f"{row['inputs']} {row['targets']}" for row in train)
    text_by_uid = {row["uid"]: row["text"] for row in pipeline.read_rows("mixture/text")}
    assert text_by_uid == {row["uid"]: f"{row['inputs']} {row['targets']}" for row in train}
    report = pipeline.read_json("mixture/report.json")
    assert report["text_licences"] == report["licences"]


def test_mix_with_flan_v2_patterns_has_varied_separators_and_exemplars_from_training(pipeline):
    params = replace(
        pipeline.mix, few_shot_patterns="flan_v2", few_shot_share=1, max_few_shot_characters=2000
    )
    pipeline.replace(mix=params).run("mix")
    rows = pipeline.read_rows()
    records = {row["uid"]: row for row in pipeline.read_rows("records/examples")}
    few_shot = [r for r in rows if r["num_exemplars"] > records[r["uid"]]["num_exemplars"]]
    assert len(few_shot) > 100
    train = {}
    for row in rows:
        if row["split"] == "train":
            train.setdefault(row["task"], []).append(records[row["uid"]]["inputs"])
    for row in few_shot:
        inputs = records[row["uid"]]["inputs"]
        before, _, after = row["inputs"].rpartition(inputs)
        assert len(row["inputs"]) <= 2000
        assert len(after) < 20
        # Each exemplar is the text of a training row of the task.
        assert sum(text in before for text in train[row["task"]]) >= row["num_exemplars"]
    separators = {max(re.findall(r"\n+", row["inputs"]), key=len) for row in few_shot}
    assert len(separators) >= 3


@pytest.fixture
def repeated(pipeline):
    """A mixture with more examples than Muffin and T0-SF have rows, and its parameters."""
    params = replace(pipeline.mix, num_examples=3000, repeat=True)
    return pipeline.replace(mix=params).run("mix")


def test_mix_without_repetition_misses_the_target_shares(pipeline):
    params = replace(pipeline.mix, num_examples=3000, repeat=False)
    pipeline.replace(mix=params).run("mix")
    mixtures = pipeline.read_json("mixture/report.json")["mixtures"]
    assert max(abs(m["share"] - m["target_share"]) for m in mixtures.values()) > 0.05
    assert set(pipeline.read_table()["repetition"].to_pylist()) == {0}


def test_mix_with_repetition_realises_the_target_shares(repeated):
    report = repeated.read_json("mixture/report.json")
    rows = repeated.read_rows()
    assert report["examples"] == len(rows) == pytest.approx(3000, abs=2)
    for mixture in report["mixtures"].values():
        assert mixture["examples"] == pytest.approx(mixture["target_share"] * 3000, abs=1)
        assert all(task["examples"] == task["target"] for task in mixture["tasks"].values())
    num_repeated = sum(row["repetition"] > 0 for row in rows)
    assert report["repeated"] == num_repeated > 500


def test_mix_repetitions_of_a_row_stay_in_its_split_and_have_other_exemplars(repeated):
    rows = repeated.read_rows()
    assert len({(row["uid"], row["repetition"]) for row in rows}) == len(rows)
    splits, inputs = defaultdict(set), defaultdict(list)
    for row in rows:
        splits[row["uid"]].add(row["split"])
        inputs[row["uid"]].append((row["inputs"], row["num_exemplars"]))
    assert all(len(split) == 1 for split in splits.values())
    pairs = [texts for texts in inputs.values() if len(texts) > 1]
    few_shot = [texts for texts in pairs if any(number for _, number in texts)]
    assert sum(len(set(texts)) > 1 for texts in few_shot) > 0.9 * len(few_shot) > 100
    positions = {(row["uid"], row["repetition"]): place for place, row in enumerate(rows)}
    distances = [abs(positions[uid, 0] - positions[uid, 1]) for uid, n in positions if n == 1]
    assert sum(distances) / len(distances) > 200


def test_mix_max_repeats_limits_the_copies_of_a_row(pipeline):
    params = replace(pipeline.mix, num_examples=3000, repeat=True, max_repeats=2)
    pipeline.replace(mix=params).run("mix")
    assert max(pipeline.read_table()["repetition"].to_pylist()) == 1


def test_validate_does_not_report_repetitions_as_duplicates(repeated):
    """With a share of 0, any repeated text is a warning; repeated rows without exemplars occur."""
    strict = replace(repeated.validate, max_duplicate_share=0.0, share_tolerance=0.001)
    texts = [
        row["inputs"] + row["targets"] for row in repeated.read_rows() if not row["num_exemplars"]
    ]
    assert len(set(texts)) < len(texts)
    repeated.replace(validate=strict).run("validate")
    findings = {
        f["column"]: f
        for f in repeated.read_json("validation/results.json")
        if f["suite"] == "mixtures"
    }
    for column in ("repeated_uids", "repeated_share", "share_off_target", "examples"):
        assert findings[column]["success"], findings[column]
