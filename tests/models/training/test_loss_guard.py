"""Anomalous losses: roll back to the last checkpoint and skip the batch."""

import numpy as np
import pytest

from data_pipelines.order import row_indices
from models.architecture.t5 import T5
from models.errors import Diverged
from models.training.loss_guard import LossGuard
from models.training.params import GuardParams
from tests.models.training.factories import (
    Interrupted,
    assert_equal_tensors,
    build_corpus,
    build_model,
    build_trainer,
    copy_weights,
    interrupt_at,
)

ROWS, SEED = 400, 5
MARKER = 31
"""Token of the rows whose loss is anomalous."""


class ExplodingT5(T5):
    """Multiplies the logits by `factor` for batches with the marker token."""

    factor = float("inf")

    def forward(self, tokens, *rest):
        logits = super().forward(tokens, *rest)
        return logits * self.factor if (tokens == MARKER).any() else logits


def exploding_trainer(folder, bad_batches, factor, steps=30, **changes):
    corpus = build_corpus(ROWS)
    rows = np.concatenate([row_indices(ROWS, batch, 4, SEED) for batch in bad_batches])
    corpus.shards[0]["encoder_input_tokens"][rows, 0] = MARKER
    model = build_model()
    model.__class__ = type("ExplodingModel", (ExplodingT5,), {"factor": factor})
    return build_trainer(folder, steps=steps, model=model, corpus=corpus, **changes)


def corpus_without_batches(skipped, steps):
    """Return the corpus reordered such that its stream is the stream without these batches."""
    batches = [b for b in range(steps + len(skipped)) if b not in skipped]
    corpus = build_corpus(ROWS)
    source = np.arange(ROWS)
    for step, batch in enumerate(batches):
        source[row_indices(ROWS, step, 4, SEED)] = row_indices(ROWS, batch, 4, SEED)
    (shard,) = corpus.shards
    corpus.shards[0] = {column: values[source] for column, values in shard.items()}
    return corpus


@pytest.mark.parametrize("factor", [float("inf"), 40.0])
def test_fit_loss_spike_rolls_back_and_skips_the_batch(tmp_path, factor, capfd):
    exploding = exploding_trainer(tmp_path / "spikes", (22, 25), factor)
    result = exploding.fit()
    assert result.skipped_batches == [22, 25]
    assert "skipping batch 22" in capfd.readouterr().out
    assert [line["step"] for line in result.log_lines] == list(range(1, 31))
    undisturbed = build_trainer(
        tmp_path / "reference", steps=30, corpus=corpus_without_batches((22, 25), 30)
    )
    undisturbed.fit()
    assert_equal_tensors(copy_weights(exploding.model), copy_weights(undisturbed.model))


def test_fit_too_many_spikes_fails_with_what_to_change(tmp_path):
    guard = GuardParams(max_skipped_batches=2)
    trainer = exploding_trainer(tmp_path, (2, 3, 4), float("inf"), guard=guard)
    message = r"step 3: loss is .*2 batches were skipped already; lower .*lr"
    with pytest.raises(Diverged, match=message):
        trainer.fit()


def test_fit_interrupted_run_skips_the_same_batches(tmp_path):
    undisturbed = exploding_trainer(tmp_path / "reference", (22,), float("inf"))
    undisturbed.fit()
    with pytest.raises(Interrupted):
        exploding_trainer(tmp_path / "run", (22,), float("inf")).fit(on_step=interrupt_at(23))
    resumed = exploding_trainer(tmp_path / "run", (22,), float("inf"))
    resumed.fit()
    assert_equal_tensors(copy_weights(resumed.model), copy_weights(undisturbed.model))


def test_batch_index_leaves_out_skipped_batches():
    guard = LossGuard(GuardParams(max_skipped_batches=3))
    assert all(guard.skip(batch) for batch in (2, 5, 3))
    assert not guard.skip(9)
    assert [guard.batch_index(step) for step in range(6)] == [0, 1, 4, 6, 7, 8]
