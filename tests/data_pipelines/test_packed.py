"""Reader of packed corpora: rows across shards, filters, damaged and outdated files."""

import json

import numpy as np
import pytest

from data_pipelines.errors import CorruptShard, DataError
from data_pipelines.packed import SIDES, PackedCorpus


def read_segments(shard):
    """Yield input ids, target ids and task id of every segment of a shard, in row order."""
    starts = np.cumsum(shard["task_counts"]) - shard["task_counts"]
    for row, start in enumerate(starts):
        for segment in range(1, int(shard["task_counts"][row]) + 1):
            pair = [shard[t][row][shard[s][row] == segment].tolist() for t, s in SIDES]
            yield *pair, int(shard["tasks"][start + segment - 1])


def test_take_across_shards_returns_rows_in_the_requested_order(finished_pipeline):
    corpus = PackedCorpus.open(finished_pipeline.path("packed/train"))
    boundary = int(corpus.shard_starts[1])
    rows = np.array([len(corpus) - 1, 3, boundary, boundary - 1])
    batch = corpus.take(rows)
    for i, row in enumerate(rows):
        single = corpus.take(np.array([row]))
        for column in single:
            assert (single[column][0] == batch[column][i]).all()


def test_filter_tasks_returns_exactly_the_segments_of_matching_tasks(finished_pipeline):
    corpus = PackedCorpus.open(finished_pipeline.path("packed/train"))
    filtered = corpus.filter_tasks(["cot_*"])
    names = corpus.manifest["task_names"]
    expected = [
        (source, target)
        for shard in corpus.shards
        for source, target, task in read_segments(shard)
        if names[task].startswith("cot_")
    ]
    (shard,) = filtered.shards
    segments = [
        tuple(shard[t][row][shard[s][row] == segment].tolist() for t, s in SIDES)
        for row in range(len(filtered))
        for segment in range(1, int(shard["encoder_segment_ids"][row].max()) + 1)
    ]
    assert segments == expected
    assert 0 < len(filtered) < len(corpus)
    assert filtered.manifest["version"] != corpus.manifest["version"]
    batch = filtered.take(np.arange(2))
    assert batch["encoder_input_tokens"].shape == (2, corpus.manifest["encoder_length"])


def test_filter_tasks_with_an_unknown_task_suggests_a_name(finished_pipeline):
    corpus = PackedCorpus.open(finished_pipeline.path("packed/train"))
    name = sorted(corpus.manifest["by_task"])[0]
    message = f"no task of the packed corpus matches '{name[:-1]}'; did you mean '{name}'"
    with pytest.raises(DataError, match=message):
        corpus.filter_tasks([name[:-1]])


@pytest.mark.parametrize("damage", ["modified", "truncated", "deleted"])
def test_open_with_a_damaged_shard_names_the_file(pipeline, damage):
    path = pipeline.path("packed/train/00000.arrow")
    data = path.read_bytes()
    if damage == "modified":
        path.write_bytes(data[:-200] + bytes(200))
    elif damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    with pytest.raises(CorruptShard, match=r"00000\.arrow .*run `flanmoe pack`"):
        PackedCorpus.open(pipeline.path("packed/train"))


def test_open_with_shards_of_release_0_1_0_says_to_pack_again(tmp_path):
    manifest = {
        "corpus": "train", "rows": 3, "fewest_rows": 3, "examples": 9, "encoder_length": 96,
        "decoder_length": 48, "by_task": {"a": {}}, "tasks": ["text", "a"], "version": "0",
        "shards": [{"file": "00000.arrow", "sha256": "0", "rows": 3}], "vocab_size": 500,
    }  # fmt: skip
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    message = r"the shards were packed by an older release of flanmoe; run `flanmoe pack`$"
    with pytest.raises(DataError, match=message) as error:
        PackedCorpus.open(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("content", "error"), [(None, DataError), ("{", CorruptShard)])
def test_open_without_a_readable_manifest_raises(tmp_path, content, error):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(error, match=r"manifest\.json is .*run `flanmoe pack`"):
        PackedCorpus.open(tmp_path)
