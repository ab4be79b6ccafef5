"""Losses that explode: back to the last checkpoint, without the batch."""

import numpy as np
import pytest

from models.architecture.t5 import T5
from models.errors import Diverged
from models.training.batches import rows_of_step, to_tensors
from models.training.loss_guard import Guard
from models.training.params import GuardParams
from tests.models.training.made import Killed, corpus, same, trainer, weights


def poisoned(rows, *batches, seed=5):
    """A corpus whose rows of these batches give an infinite loss; and those rows' numbers."""
    made = corpus(rows)
    bad = np.concatenate([rows_of_step(rows, batch, 4, seed) for batch in batches])
    return made, set(bad.tolist())


class Exploding(T5):
    """Gives `factor` times the logits for rows of token 31."""

    factor = float("inf")

    def forward(self, tokens, *rest):
        logits = super().forward(tokens, *rest)
        return logits * self.factor if (tokens == 31).any() else logits


def exploding(folder, batches, factor, steps=30, **changes):
    made, bad = poisoned(400, *batches)
    made.shards[0]["encoder_input_tokens"][sorted(bad), 0] = 31
    one = trainer(folder, steps=steps, rows=made, **changes)
    one.model.__class__ = type("Exploding", (Exploding,), {"factor": factor})
    return one


@pytest.mark.parametrize("factor", [float("inf"), 40.0])
def test_a_loss_that_explodes_goes_back_and_leaves_the_batch_out(tmp_path, factor, capfd):
    one = exploding(tmp_path / "bad", (22, 25), factor)
    one.fit()
    assert one.guard.skipped == [22, 25]
    assert "without batch 22" in capfd.readouterr().out
    # The same as a run whose data never had these batches.
    other, rows = trainer(tmp_path / "good", steps=30), corpus(400)
    numbers = [b for b in range(32) if b not in (22, 25)]
    order = np.concatenate([rows_of_step(400, b, 4, 5) for b in numbers])
    assert len(order) == 120
    other.corpus = rows
    other._parts_of = lambda batch: [to_tensors(rows, rows_of_step(400, numbers[batch], 4, 5))]
    other.fit()
    same(weights(one.model), weights(other.model))
    assert [line["step"] for line in one.live.lines] == list(range(1, 31))


def test_too_many_explosions_end_the_run_with_what_to_change(tmp_path):
    one = exploding(tmp_path, (2, 3, 4), float("inf"), guard=GuardParams(max_skipped_batches=2))
    with pytest.raises(
        Diverged, match=r"step 3: the loss is .*2 batches were left out already.*lr"
    ):
        one.fit()


def test_a_killed_run_leaves_out_the_same_batches(tmp_path):
    undisturbed = exploding(tmp_path / "whole", (22,), float("inf"))
    undisturbed.fit()

    def kill(step):
        if step == 23:
            raise Killed

    with pytest.raises(Killed):
        exploding(tmp_path / "cut", (22,), float("inf")).fit(on_step=kill)
    resumed = exploding(tmp_path / "cut", (22,), float("inf"))
    resumed.fit()
    same(weights(resumed.model), weights(undisturbed.model))


def test_skipped_batches_are_left_out_of_the_stream():
    guard = Guard(GuardParams(max_skipped_batches=3))
    assert all(guard.skip(batch) for batch in (2, 5, 3))
    assert not guard.skip(9)
    assert [guard.batch_of(step) for step in range(6)] == [0, 1, 4, 6, 7, 8]
