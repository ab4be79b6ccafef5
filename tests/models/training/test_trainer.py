"""The loop as a whole: exact resume, recipes, what one sees."""

import dataclasses
import json

import pytest
import torch

from models.errors import ConfigError, Preempted
from models.training.distributed import Group
from models.training.params import CheckpointParams, OptimParams, ParallelParams
from tests.models.training.made import (
    PARAMS,
    Killed,
    corpus,
    curve,
    model,
    moe,
    read_log,
    same,
    trainer,
    weights,
)  # fmt: skip


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
    "st_moe": {"k": 2, "dense_residual": True, "z_loss": 1e-3},
    "expert_choice": {"decoder_router": "st_moe", "decoder_top_k": 2, "capacity_factor_train": 1.0},
}


@pytest.mark.parametrize("router", FAMILIES)
def test_every_router_learns_and_continues_with_the_same_bits(tmp_path, router):
    """GShard's draws, too, go on where they were."""

    def made(folder):
        return trainer(
            folder, steps=60, made=model(moe(router=router, **FAMILIES[router])),
            checkpoint=CheckpointParams(save_every=25), optim=OptimParams(lr=1e-2),
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


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_step_in_parts_is_the_same_step(tmp_path, parts):
    def made(folder, gradient_accumulation_steps):
        plain = model(moe(group_rows=1, balance_loss=0.0, expert_dropout=0.0), dropout=0.0)
        return trainer(
            folder,
            made=plain,
            rows=corpus(uneven=True),
            gradient_accumulation_steps=gradient_accumulation_steps,
        )

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


def test_experts_over_processes_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"experts is 2, which does not divide the 1 process"):
        trainer(tmp_path, parallel=ParallelParams(expert_parallel_size=2)).fit()


def test_training_lowers_the_loss(tmp_path):
    made = trainer(tmp_path, steps=150, dropout=0.0, checkpoint=CheckpointParams(save_every=100))
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
