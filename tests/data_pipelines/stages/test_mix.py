"""Stage mix: schema, shares, order, few-shot exemplars, determinism."""

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
