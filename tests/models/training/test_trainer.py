"""Batches by arithmetic, schedule, loss, exact resume, checkpoints."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.architecture.t5 import T5
from models.errors import (
    CheckpointFailed,
    ConfigError,
    CorruptCheckpoint,
    DataMismatch,
    Diverged,
    Preempted,
)
from models.training.batches import rows_of_step, shift_right, to_tensors
from models.training.freezing import freeze
from models.training.group import Group
from models.training.guard import Guard
from models.training.health import RouterHealth
from models.training.loss import compute
from models.training.params import (
    CheckpointParams,
    GuardParams,
    LossParams,
    OptimParams,
    ParallelParams,
)  # fmt: skip
from models.training.schedule import learning_rate
from models.training.shortage import is_shortage, shortage
from tests.models.training.made import (
    PARAMS,
    corpus,
    curve,
    model,
    moe,
    read_log,
    same,
    trainer,
    weights,
)  # fmt: skip


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
    for constant in ({"decay_share": 0.0}, {"schedule": "constant", "decay_share": 0.5}):
        flat = OptimParams(lr=1.0, warmup_steps=0, **constant)
        assert {learning_rate(s, 100, flat) for s in range(100)} == {1.0}
    # T5: 1 / sqrt(max(n, k)), here with its highest value at lr.
    root = OptimParams(lr=1.0, warmup_steps=10, schedule="inverse_sqrt")
    assert learning_rate(4, 100, root) == pytest.approx(0.5)
    for step in (10, 40, 99):
        expected = (1 / math.sqrt(step + 1)) / (1 / math.sqrt(10))
        assert learning_rate(step, 100, root) == pytest.approx(expected)


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
    balance = sum(float(m.routing.balance_loss.detach()) for m in made.moe_layers().values())
    assert int(loss.tokens) == count
    assert float(loss.nats) == pytest.approx(total, rel=1e-5)
    assert loss.total.item() == pytest.approx(total / count + 0.01 * balance, rel=1e-5)


def test_smoothing_and_output_z_loss_against_torch_and_a_loop():
    made, batch = model(None).eval(), to_tensors(corpus(uneven=True), np.arange(4))
    params = LossParams(label_smoothing=0.2, z_loss=0.01)
    loss = compute(made, made, batch, params=params)
    logits = made(
        batch["tokens"], batch["segments"], batch["decoder_input"], batch["target_segments"]
    ).detach()
    valid = batch["target_segments"] > 0
    smooth = F.cross_entropy(logits[valid], batch["target_tokens"][valid], label_smoothing=0.2)
    z = sum(math.log(float(row.exp().sum())) ** 2 for row in logits[valid].double())
    assert float(loss.total) == pytest.approx(float(smooth) + 0.01 * z / int(valid.sum()), rel=1e-5)
    plain = F.cross_entropy(logits[valid], batch["target_tokens"][valid], reduction="sum")
    assert float(loss.nats) == pytest.approx(float(plain), rel=1e-6)


def test_another_dispatch_trains_the_same_weights_and_continues_the_same_checkpoint(tmp_path):
    """Up to the order of sums; expert dropout off, as each backend draws it in its own order."""

    def made(folder, backend, steps):
        plain = model(moe(expert_dropout=0.0), dropout=0.0)
        return trainer(folder, steps, made=plain, dispatch=backend)

    def kill(step):
        if step == 5:
            raise Killed

    whole = made(tmp_path / "whole", "native", 8)
    whole.fit()
    assert whole.params.dispatch == "native"
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
    assert progress.resumed_from == at - at % 3
    assert curve(resumed.live.lines) == curve(undisturbed.live.lines)
    assert curve(read_log(tmp_path / "cut" / "log.jsonl")) == curve(undisturbed.live.lines)
    for name, tensor in undisturbed.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert resumed.health.total(Group()).summary() == undisturbed.health.summary()


FAMILIES = {
    "gshard": {"k": 2},
    "st_moe": {"k": 2, "dense_beside": True, "z_loss": 1e-3},
    "expert_choice": {"decoder_router": "st_moe", "decoder_k": 2, "capacity_factor_train": 1.0},
}


@pytest.mark.parametrize("router", FAMILIES)
def test_every_router_learns_and_continues_with_the_same_bits(tmp_path, router):
    """GShard's draws, too, go on where they were."""

    def made(folder):
        return trainer(
            folder, steps=60, made=model(moe(router=router, **FAMILIES[router])),
            checkpoint=CheckpointParams(every=25), optim=OptimParams(lr=1e-2),
        )  # fmt: skip

    def kill(step):
        if step == 40:
            raise Killed

    whole = made(tmp_path / "whole")
    whole.fit()
    log = whole.live.lines
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    with pytest.raises(Killed):
        made(tmp_path / "cut").fit(on_step=kill)
    resumed = made(tmp_path / "cut")
    assert resumed.fit().resumed_from == 25
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_checkpoint_of_another_run_is_refused_with_both_values(tmp_path):
    params = {"training": {"optim": {"lr": 0.1}}, "data": "a"}
    trainer(tmp_path, steps=4, contents=params).fit()  # leaves the checkpoint of step 3
    other = {"training": {"optim": {"lr": 0.2}}, "data": "a"}
    with pytest.raises(DataMismatch, match=r"training\.optim\.lr is 0\.1 there, 0\.2 now"):
        trainer(tmp_path, steps=4, contents=other).fit()
    assert trainer(tmp_path, steps=4, contents=params).fit().resumed_from == 3


@pytest.mark.parametrize("damage", ["cut", "gone", "garbled index", "state"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_can_be_used(tmp_path, damage):
    trainer(tmp_path, steps=8).fit()
    last = tmp_path / "step-00000006"
    (file,) = last.glob("*.safetensors")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:500])
    elif damage == "gone":
        file.unlink()
    elif damage == "state":
        (last / "state.json").write_text("{}")
    else:
        (last / "manifest.json").write_text("{")
    told = r"step-00000006.*; delete .*step-00000006 to continue from step-00000003"
    with pytest.raises(CorruptCheckpoint, match=told):
        trainer(tmp_path, steps=8).fit()
    import shutil

    shutil.rmtree(last)
    assert trainer(tmp_path, steps=8).fit().resumed_from == 3


def test_checkpoints_hold_no_pickle(tmp_path):
    trainer(tmp_path, steps=4).fit()
    assert {path.suffix for path in tmp_path.glob("step-*/*")} == {".json", ".safetensors"}


def test_the_last_and_the_best_checkpoints_are_kept(tmp_path):
    keep = {"checkpoint": CheckpointParams(every=2, keep=2), "validate_every": 2}
    made = trainer(tmp_path, steps=12, validate_rows=4, optim=OptimParams(lr=0.3), **keep)
    made.validation = corpus(4, seed=9)
    made.fit()
    made.checkpoints.wait()
    saved = made.checkpoints.saved()
    losses = {s.step: s.loss for s in saved}
    told = {line["step"]: line["validation_loss"] for line in made.live.lines}
    best = min((loss, step) for step, loss in told.items() if loss)[0]
    assert [s.step for s in saved][-2:] == [10, 12]
    assert made.checkpoints.best().loss == min(loss for loss in losses.values() if loss)
    assert made.checkpoints.best().loss == best
    assert not list(tmp_path.glob("*.partial"))


def test_a_run_can_end_with_its_best_or_averaged_weights(tmp_path):
    keep = {"validate_every": 2, "validate_rows": 4}
    seen = {}

    def made(final):
        checkpoint = CheckpointParams(every=2, keep=3, final=final)
        one = trainer(tmp_path / final, steps=8, checkpoint=checkpoint, **keep)
        one.validation = corpus(4, seed=9)
        return one

    last = made("last")
    last.fit(on_step=lambda step: seen.update({step: weights(last.model)}))
    averaged, best = made("average"), made("best")
    averaged.fit()
    best.fit()
    stacked = 0
    for name, weight in averaged.model.state_dict().items():
        mean = torch.stack([seen[step][name].double() for step in (4, 6, 8)]).mean(0)
        torch.testing.assert_close(weight.double(), mean, atol=1e-7, rtol=1e-6)
        stacked += name.endswith("wi_EDF")
    assert stacked == 2  # experts are averaged as they lie
    same(weights(best.model), seen[best.checkpoints.best().step])


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
    made.shards[0]["tokens"][sorted(bad), 0] = 31
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
    one = exploding(tmp_path, (2, 3, 4), float("inf"), guard=GuardParams(retries=2))
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
    guard = Guard(GuardParams(retries=3))
    assert all(guard.skip(batch) for batch in (2, 5, 3))
    assert not guard.skip(9)
    assert [guard.batch_of(step) for step in range(6)] == [0, 1, 4, 6, 7, 8]


def test_stopping_saves_and_a_rerun_goes_on_with_the_same_bits(tmp_path):
    whole = trainer(tmp_path / "whole")
    whole.fit()
    asked = []
    first = trainer(tmp_path / "cut")
    first.stopping = lambda: bool(asked)
    with pytest.raises(Preempted, match="stopped at step 4 of 8"):
        first.fit(on_step=lambda step: asked.append(1) if step == 4 else None)
    again = trainer(tmp_path / "cut")
    assert again.fit().resumed_from == 4
    same(weights(again.model), weights(whole.model))


def test_an_unwritable_folder_is_told_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointFailed, match=r"file.* could not be written"):
        trainer(tmp_path / "file" / "run").fit()


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_step_in_parts_is_the_same_step(tmp_path, parts):
    def made(folder, accumulate):
        plain = model(moe(group_rows=1, balance_loss=0.0, expert_dropout=0.0), dropout=0.0)
        return trainer(folder, made=plain, rows=corpus(uneven=True), accumulate=accumulate)

    whole, split = made(tmp_path / "a", 1), made(tmp_path / "b", parts)
    whole.fit()
    split.fit()
    for name, weight in whole.model.state_dict().items():
        torch.testing.assert_close(split.model.state_dict()[name], weight, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("router", ["switch", "gshard"])
def test_activation_checkpointing_gives_the_same_bits(tmp_path, router):
    """Dropout and random second experts are drawn again as they were."""
    k = {"switch": 1, "gshard": 2}[router]

    def made(folder, recompute):
        sparse = model(moe(router=router, k=k, jitter=0.01))
        return trainer(folder, made=sparse, activation_checkpointing=recompute)

    plain, again = made(tmp_path / "a", False), made(tmp_path / "b", True)
    plain.fit()
    again.fit()
    same(weights(again.model), weights(plain.model))


@pytest.mark.parametrize("what", ["gate", "experts", "moe"])
def test_frozen_parts_stay_and_the_rest_is_trained(tmp_path, what):
    parts = {"gate": (".router.",), "experts": (".experts.",), "moe": (".feed_forward.",)}[what]

    def inside(name):
        return ".blocks.1." in name and any(part in name for part in parts)

    for freeze_what, still in ((what, True), (f"all_but_{what}", False)):
        made = model(moe(dense_beside=True, router="st_moe", k=2))
        one = trainer(tmp_path / freeze_what, made=made, freeze=freeze_what)
        before = weights(one.model)
        one.fit()
        for name, weight in one.model.state_dict().items():
            # The dense block 0 has a feed_forward too: it is no MoE layer.
            moved = not torch.equal(weight, before[name])
            assert moved != (inside(name) == still), (freeze_what, name)


def test_freezing_what_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="freeze is 'gate', but the model has no MoE layer"):
        freeze(model(None), "gate")


def test_experts_over_processes_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"experts is 2, which does not divide the 1 process"):
        trainer(tmp_path, parallel=ParallelParams(experts=2)).fit()


def test_router_health_counts_and_warns():
    sparse = moe(num_experts=4, capacity_factor_train=0.5, min_capacity=1, expert_dropout=0.0)
    made = model(sparse, dropout=0.0)
    batch = to_tensors(corpus(), np.arange(8))
    router = made.encoder.blocks[1].feed_forward.router
    with torch.no_grad():
        router.weight.zero_()
        router.weight[0], router.weight[1] = 50.0, -50.0  # one of the two, and surely
    health = RouterHealth()
    for _ in range(2):
        compute(made, made, batch)
        health.update(made)
    layer = health.summary()["encoder.blocks.1.feed_forward"]
    routing = made.encoder.blocks[1].feed_forward.routing
    chosen = routing.load.tokens_per_expert_E
    assert layer["load"] == [round(n, 4) for n in (chosen / chosen.sum()).tolist()]
    assert layer["dead_experts"] == int((chosen == 0).sum()) > 0
    told = health.warnings()
    assert "experts get no token" in told["encoder.blocks.1.feed_forward dead"]
    assert "assignments are dropped" in told["encoder.blocks.1.feed_forward drops"]
    assert "entropy has fallen" in told["encoder.blocks.1.feed_forward entropy"]
    assert not health.since(health).warnings().keys() - {
        f"{name} {kind}" for name in health.sums_X for kind in ("dead", "entropy")
    }


def test_out_of_memory_tells_the_estimate_and_what_to_change():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_shortage(caught.value)
    assert not is_shortage(RuntimeError("shapes do not fit"))
    made = model()
    count = sum(weight.numel() for weight in made.parameters())
    told = str(shortage(made.config, PARAMS, 2))
    assert f"{count:,} parameters take weights {4 * count / 1e9:.3g} GB" in told
    assert f"optimizer {8 * count / 1e9:.3g} GB" in told  # AdamW keeps two values a weight
    for change in (
        "raise accumulate",
        "activation_checkpointing: true",
        "parallel.experts",
        "fsdp",
    ):
        assert change in told


def test_training_lowers_the_loss(tmp_path):
    made = trainer(tmp_path, steps=150, dropout=0.0, checkpoint=CheckpointParams(every=100))
    made.fit()
    log = made.live.lines
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]


def test_bfloat16_autocast_stays_near_float32_with_float32_weights_and_router(tmp_path):
    plain, mixed = trainer(tmp_path / "a", 5), trainer(tmp_path / "b", 5, precision="bfloat16")
    plain.fit()
    mixed.fit()
    one, two = plain.live.lines[-1]["loss"], mixed.live.lines[-1]["loss"]
    assert two == pytest.approx(one, rel=0.05)
    assert two != one
    assert {weight.dtype for weight in mixed.model.parameters()} == {torch.float32}
    assert mixed.model.encoder.blocks[1].feed_forward.routing.probs_E.dtype == torch.float32


def test_the_log_says_how_fast_and_how_even(tmp_path):
    one = trainer(tmp_path, steps=6)
    one.peak_flops = 1e9
    one.plots = tmp_path / "live"
    one.fit()
    line = read_log(tmp_path / "log.jsonl")[-1]
    assert line["step"] == line["steps"] == 6
    assert line["tokens_per_second"] > 0
    assert line["mfu"] > 0
    assert 1 <= line["largest_load"] <= 3
    assert json.loads((tmp_path / "live" / "metrics.json").read_text())["loss"] == line["loss"]
    plotted = (tmp_path / "live" / "plots" / "metrics" / "loss.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in plotted] == ["step", *map(str, range(1, 7))]
