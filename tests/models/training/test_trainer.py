"""Batches by arithmetic, schedule, loss, exact resume, checkpoints."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from data_pipelines.packed import PackedCorpus
from models.architecture.moe.dispatch.table import use
from models.architecture.t5 import T5
from models.config import ModelConfig, MoEConfig
from models.errors import CorruptCheckpoint, Diverged
from models.training import checkpoint
from models.training.batches import rows_of_step, shift_right, to_tensors
from models.training.loss import compute
from models.training.params import OptimParams, TrainingParams
from models.training.schedule import learning_rate
from models.training.trainer import Trainer

PARAMS = TrainingParams(
    batch_rows=4, checkpoint_every=3, log_every=1, dropout=0.1, optim=OptimParams(warmup_steps=2)
)


def corpus(rows=10, seed=0):
    """Packed rows in memory: two examples and padding in each."""
    rng = np.random.default_rng(seed)
    shard = {
        "tokens": rng.integers(2, 30, (rows, 8), dtype=np.int32),
        "segments": np.tile(np.array([1, 1, 1, 2, 2, 2, 0, 0], np.int32), (rows, 1)),
        "target_tokens": rng.integers(2, 30, (rows, 6), dtype=np.int32),
        "target_segments": np.tile(np.array([1, 1, 2, 2, 0, 0], np.int32), (rows, 1)),
    }
    return PackedCorpus({"rows": rows}, [shard])


def model():
    moe = MoEConfig(num_experts=3, expert_dropout=0.1)
    config = ModelConfig(
        vocab_size=32, d_model=16, d_ff=32, num_heads=2, d_kv=8, num_layers=2, moe=moe,
        activation="relu", dropout=0.1,
    )  # fmt: skip
    return T5(config).reset_parameters(0)


def trainer(folder, steps=8, fingerprint="this run", **changes):
    return Trainer(
        model=model(),
        corpus=corpus(),
        params=dataclasses.replace(PARAMS, **changes),
        steps=steps,
        seed=5,
        fingerprint=fingerprint,
        checkpoints=folder,
    )


@pytest.mark.parametrize("world", [1, 2, 4])
def test_every_row_once_an_epoch_for_any_number_of_processes(world):
    seen = [
        row
        for step in range(5)
        for rank in range(world)
        for row in rows_of_step(20, step, 4, seed=1, rank=rank, world=world)
    ]
    assert sorted(seen) == list(range(20))


def test_a_step_holds_the_same_rows_however_many_processes():
    for step in (0, 3, 7):
        whole = sorted(rows_of_step(10, step, 4, seed=2))
        parts = [rows_of_step(10, step, 4, seed=2, rank=r, world=2) for r in (0, 1)]
        assert sorted(np.concatenate(parts)) == whole


def test_epochs_and_seeds_differ():
    first = [row for s in range(5) for row in rows_of_step(20, s, 4, seed=1)]
    second = [row for s in range(5, 10) for row in rows_of_step(20, s, 4, seed=1)]
    other = [row for s in range(5) for row in rows_of_step(20, s, 4, seed=2)]
    assert first != second != other


def test_shift_right_starts_each_segment_anew():
    target = torch.tensor([[7, 8, 1, 9, 1, 0]])
    segments = torch.tensor([[1, 1, 1, 2, 2, 0]])
    assert shift_right(target, segments).tolist() == [[0, 7, 8, 0, 9, 0]]


def test_schedule():
    params = OptimParams(lr=1.0, warmup_steps=10, decay_share=0.5)
    rates = [learning_rate(step, 100, params) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:50] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)
    constant = OptimParams(lr=1.0, warmup_steps=0, decay_share=0.0)
    assert {learning_rate(s, 100, constant) for s in range(100)} == {1.0}


def test_loss_is_the_mean_over_targets_plus_weighted_balance():
    made = model().eval()
    batch = to_tensors(corpus(), np.arange(4))
    loss = compute(made, made, batch)
    logits = made(
        batch["tokens"], batch["segments"], batch["decoder_input"], batch["target_segments"]
    )
    logp = torch.log_softmax(logits, -1).detach()
    total, count = 0.0, 0
    for row in range(4):
        for column in range(6):
            if batch["target_segments"][row, column] > 0:
                total -= float(logp[row, column, batch["target_tokens"][row, column]])
                count += 1
    balance = sum(float(m.routing.balance_loss) for m in made.moe_layers().values())
    assert int(loss.tokens) == count
    assert float(loss.nats) == pytest.approx(total, rel=1e-5)
    assert float(loss.total) == pytest.approx(total / count + 0.01 * balance, rel=1e-5)


def test_another_dispatch_trains_the_same_weights_and_continues_the_same_checkpoint(tmp_path):
    """Up to the order of sums; expert dropout off, as each backend draws it in its own order."""

    def made(folder, backend, steps):
        one = trainer(folder, steps, dropout=0.0)
        one.model = undropped()
        use(one.model, backend)
        return one

    def undropped():
        plain = model()
        config = dataclasses.replace(
            plain.config, dropout=0.0, moe=dataclasses.replace(plain.config.moe, expert_dropout=0.0)
        )
        return T5(config).reset_parameters(0)

    def kill(step):
        if step == 5:
            raise Killed

    whole = made(tmp_path / "whole", "native", 8)
    whole.fit()
    first = made(tmp_path / "moved", "native", 8)
    with pytest.raises(Killed):
        first.fit(on_step=kill)
    moved = made(tmp_path / "moved", "fairscale", 8)
    assert moved.fit().resumed_from == 3
    torch.distributed.destroy_process_group()  # fairscale's group of one
    for name, weight in whole.model.state_dict().items():
        torch.testing.assert_close(
            moved.model.state_dict()[name], weight, atol=1e-5, rtol=1e-4, msg=name
        )


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", [1, 3, 5, 7])
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_a_killed_run_ends_with_the_same_bits(tmp_path, at, optimizer):
    optim = dataclasses.replace(PARAMS.optim, name=optimizer)
    undisturbed = trainer(tmp_path / "whole", optim=optim)
    undisturbed.fit()

    def kill(step):
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        trainer(tmp_path / "cut", optim=optim).fit(on_step=kill)
    resumed = trainer(tmp_path / "cut", optim=optim)
    progress = resumed.fit()
    assert progress.log == undisturbed.progress.log
    for name, tensor in undisturbed.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert resumed.health.summary() == undisturbed.health.summary()


FAMILIES = {
    "gshard": {"k": 2},
    "st_moe": {"k": 2, "dense_beside": True, "z_loss": 1e-3},
    "expert_choice": {"decoder_router": "st_moe", "decoder_k": 2, "capacity_factor_train": 1.0},
}


@pytest.mark.parametrize("router", FAMILIES)
def test_every_router_learns_and_continues_with_the_same_bits(tmp_path, router):
    """GShard's draws, too, go on where they were."""

    def made(folder):
        one = trainer(folder, steps=60, checkpoint_every=25, optim=OptimParams(lr=1e-2))
        moe = MoEConfig(num_experts=3, router=router, expert_dropout=0.1, **FAMILIES[router])
        config = dataclasses.replace(one.model.config, moe=moe)
        one.model = T5(config).reset_parameters(0)
        return one

    def kill(step):
        if step == 40:
            raise Killed

    whole = made(tmp_path / "whole")
    log = whole.fit().log
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    with pytest.raises(Killed):
        made(tmp_path / "cut").fit(on_step=kill)
    resumed = made(tmp_path / "cut")
    assert resumed.fit().resumed_from == 25
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_checkpoint_of_another_run_is_not_continued(tmp_path):
    trainer(tmp_path, steps=4).fit()  # leaves the checkpoint of step 3
    fresh = trainer(tmp_path, steps=4, fingerprint="other params")
    assert fresh.fit().log[0]["step"] == 1
    again = trainer(tmp_path, steps=4)
    again.fit()


@pytest.mark.parametrize("damage", ["cut", "gone", "garbled index"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    trainer(tmp_path, steps=4).fit()
    (file,) = tmp_path.glob("step-*.pt")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "gone":
        file.unlink()
    else:
        (tmp_path / "latest.json").write_text("{")
    with pytest.raises(CorruptCheckpoint, match=r"delete .* to train this run from its start"):
        trainer(tmp_path, steps=4).fit()


def test_a_checkpoint_with_code_in_it_is_not_executed(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"model": Evil()}, tmp_path / "step-1.pt")
    from models.output import sha256

    (tmp_path / "latest.json").write_text(
        json.dumps(
            {
                "file": "step-1.pt",
                "sha256": sha256(tmp_path / "step-1.pt"),
                "step": 1,
                "fingerprint": "x",
            }
        )
    )
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load(tmp_path, "x")


def test_only_the_last_checkpoint_is_kept(tmp_path):
    trainer(tmp_path, steps=8).fit()
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-6.pt"]
    assert not list(tmp_path.glob("*.partial"))


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    made = trainer(tmp_path)
    with torch.no_grad():
        made.model.embedding.fill_(float("inf"))
    with pytest.raises(Diverged, match="step 1"):
        made.fit()


def test_training_lowers_the_loss(tmp_path):
    made = trainer(tmp_path, steps=150, dropout=0.0)
    log = made.fit().log
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]


def test_bfloat16_autocast_stays_near_float32(tmp_path):
    plain = trainer(tmp_path / "a", steps=5, dropout=0.0).fit().log
    mixed = trainer(tmp_path / "b", steps=5, dropout=0.0, precision="bfloat16").fit().log
    assert mixed[-1]["loss"] == pytest.approx(plain[-1]["loss"], rel=0.05)
    assert mixed != plain
