"""`PackedCorpus.filter_tasks` on the corpus of a finished run, against a loop over all rows."""

import numpy as np
import pytest

from data_pipelines.errors import DataError
from data_pipelines.packed import PackedCorpus

pytestmark = pytest.mark.e2e


def example(shard, row, segment):
    source = shard["encoder_input_tokens"][row][shard["encoder_segment_ids"][row] == segment]
    target = shard["decoder_target_tokens"][row][shard["decoder_segment_ids"][row] == segment]
    return source.tolist(), target.tolist()


def examples_of_tasks(corpus, names):
    """Return the examples of these tasks, in the order of the corpus."""
    examples = []
    for shard in corpus.shards:
        tasks = iter(shard["tasks"].tolist())
        for row in range(len(shard["encoder_input_tokens"])):
            for segment in range(1, int(shard["task_counts"][row]) + 1):
                if corpus.manifest["task_names"][next(tasks)] in names:
                    examples.append(example(shard, row, segment))
    return examples


@pytest.fixture
def corpus(finished):
    return PackedCorpus.open(finished.project.folder / "data" / "packed" / "train")


def test_filter_tasks_pattern_has_exactly_the_examples_of_matching_tasks(corpus):
    names = sorted(corpus.manifest["by_task"])
    prefix = names[0].split("_")[0] + "_"
    filtered = corpus.filter_tasks([f"{prefix}*"])
    (shard,) = filtered.shards
    examples = [
        example(shard, row, segment)
        for row in range(len(filtered))
        for segment in range(1, int(shard["encoder_segment_ids"][row].max()) + 1)
    ]
    matching = {name for name in names if name.startswith(prefix)}
    assert examples == examples_of_tasks(corpus, matching)
    assert len(filtered) < len(corpus)
    assert filtered.manifest["version"] != corpus.manifest["version"]
    batch = filtered.take(np.arange(2))
    assert batch["encoder_input_tokens"].shape[1] == corpus.manifest["encoder_length"]


def test_filter_tasks_unknown_name_is_rejected_with_a_suggestion(corpus):
    misspelled = sorted(corpus.manifest["by_task"])[0][:-1]
    with pytest.raises(DataError, match=f"no task .* matches '{misspelled}'; did you mean"):
        corpus.filter_tasks([misspelled])
