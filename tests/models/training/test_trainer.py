"""The training loop: exact resume, options of a run, log lines."""

import dataclasses
import json

import pytest
import torch

from models.errors import ConfigError, Preempted
from models.training.dvclive_sink import DvcLiveSink
from models.training.params import CheckpointParams, OptimParams, ParallelParams
from tests.models.training.factories import (
    PARAMS,
    Interrupted,
    assert_equal_tensors,
    build_corpus,
    build_model,
    build_trainer,
    copy_weights,
    interrupt_at,
    moe_config,
    read_log,
    reproducible_metrics,
)


def test_fit_resume_with_another_dispatch_backend_trains_the_same_weights(tmp_path):
    """Up to the order of sums; without expert dropout, whose order depends on the backend."""

    def trainer(folder, backend):
        model = build_model(moe_config(expert_dropout=0.0), dropout=0.0)
        return build_trainer(folder, model=model, dispatch=backend)

    undisturbed = trainer(tmp_path / "reference", "native")
    undisturbed.fit()
    with pytest.raises(Interrupted):
        trainer(tmp_path / "run", "native").fit(on_step=interrupt_at(5))
    resumed = trainer(tmp_path / "run", "fairscale")
    assert resumed.fit().progress.resumed_from_step == 3
    torch.distributed.destroy_process_group()  # fairscale's group of one rank
    for name, weight in undisturbed.model.state_dict().items():
        torch.testing.assert_close(
            resumed.model.state_dict()[name], weight, atol=1e-5, rtol=1e-4, msg=name
        )


@pytest.mark.parametrize("step", [1, 3, 5, 7])
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_fit_interrupted_run_resumes_with_the_same_bits(tmp_path, step, optimizer):
    optim = dataclasses.replace(PARAMS.optim, name=optimizer)
    undisturbed = build_trainer(tmp_path / "reference", optim=optim)
    expected = undisturbed.fit()
    with pytest.raises(Interrupted):
        build_trainer(tmp_path / "run", optim=optim).fit(on_step=interrupt_at(step))
    resumed = build_trainer(tmp_path / "run", optim=optim)
    result = resumed.fit()
    assert result.progress.resumed_from_step == step - step % 3
    expected_metrics = reproducible_metrics(expected.log_lines)
    assert reproducible_metrics(result.log_lines) == expected_metrics
    assert reproducible_metrics(read_log(tmp_path / "run" / "log.jsonl")) == expected_metrics
    assert_equal_tensors(resumed.model.state_dict(), undisturbed.model.state_dict())
    assert result.router_health == expected.router_health
    assert result.train_loss == expected.train_loss


ROUTERS = {
    "gshard": {"top_k": 2},
    "st_moe": {"top_k": 2, "dense_after_moe": True, "z_loss_weight": 1e-3},
    "expert_choice": {"decoder_router": "st_moe", "decoder_top_k": 2, "capacity_factor_train": 1.0},
}


@pytest.mark.parametrize("router", ROUTERS)
def test_fit_every_router_lowers_the_loss_and_resumes_with_the_same_bits(tmp_path, router):
    """Including the random second experts of GShard."""

    def trainer(folder):
        return build_trainer(
            folder,
            steps=60,
            model=build_model(moe_config(router=router, **ROUTERS[router])),
            checkpoint=CheckpointParams(save_every=25),
            optim=OptimParams(lr=1e-2),
        )

    undisturbed = trainer(tmp_path / "reference")
    log = undisturbed.fit().log_lines
    assert log[-1]["loss"] < 0.8 * log[0]["loss"]
    with pytest.raises(Interrupted):
        trainer(tmp_path / "run").fit(on_step=interrupt_at(40))
    resumed = trainer(tmp_path / "run")
    assert resumed.fit().progress.resumed_from_step == 25
    assert_equal_tensors(resumed.model.state_dict(), undisturbed.model.state_dict())


def test_fit_resumed_between_log_lines_writes_the_same_lines(tmp_path):
    """Expert load is over the steps of a line, warnings over three lines: both reach back."""
    moe = moe_config(num_experts=64)  # more than get a token, so warns

    def trainer(folder, **changes):
        return build_trainer(folder, steps=24, model=build_model(moe), log_every=5, **changes)

    expected = reproducible_metrics(trainer(tmp_path / "reference").fit().log_lines)
    assert [bool(line.get("warnings")) for line in expected] == [False, False, True, True, True]
    completed = []
    for step in (7, 17):
        with pytest.raises(Preempted):
            trainer(tmp_path / "run", is_stop_requested=lambda step=step: step in completed).fit(
                on_step=completed.append
            )
    result = trainer(tmp_path / "run").fit()
    assert result.progress.resumed_from_step == 17
    assert reproducible_metrics(result.log_lines) == expected


def test_fit_stop_request_saves_and_a_rerun_resumes_with_the_same_bits(tmp_path):
    undisturbed = build_trainer(tmp_path / "reference")
    undisturbed.fit()
    completed = []
    stopping = build_trainer(tmp_path / "run", is_stop_requested=lambda: 4 in completed)
    with pytest.raises(Preempted, match="stopped at step 4 of 8, checkpoint saved"):
        stopping.fit(on_step=completed.append)
    resumed = build_trainer(tmp_path / "run")
    assert resumed.fit().progress.resumed_from_step == 4
    assert_equal_tensors(copy_weights(resumed.model), copy_weights(undisturbed.model))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_fit_gradient_accumulation_gives_the_same_step(tmp_path, steps):
    def trainer(folder, gradient_accumulation_steps):
        moe = moe_config(group_rows=1, load_balance_loss_weight=0.0, expert_dropout=0.0)
        return build_trainer(
            folder,
            model=build_model(moe, dropout=0.0),
            corpus=build_corpus(uneven=True),
            gradient_accumulation_steps=gradient_accumulation_steps,
        )

    single, accumulated = trainer(tmp_path / "a", 1), trainer(tmp_path / "b", steps)
    single.fit()
    accumulated.fit()
    for name, weight in single.model.state_dict().items():
        actual = accumulated.model.state_dict()[name]
        torch.testing.assert_close(actual, weight, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("router", "top_k"), [("switch", 1), ("gshard", 2)])
def test_fit_activation_checkpointing_gives_the_same_bits(tmp_path, router, top_k):
    """The recomputation draws the same dropout masks and random second experts."""

    def trainer(folder, activation_checkpointing):
        model = build_model(moe_config(router=router, top_k=top_k, jitter=0.01))
        return build_trainer(folder, model=model, activation_checkpointing=activation_checkpointing)

    stored, recomputed = trainer(tmp_path / "a", False), trainer(tmp_path / "b", True)
    stored.fit()
    recomputed.fit()
    assert_equal_tensors(copy_weights(recomputed.model), copy_weights(stored.model))


def test_trainer_expert_parallel_size_above_world_size_is_rejected(tmp_path):
    message = "expert_parallel_size: 2 does not divide the world size 1"
    with pytest.raises(ConfigError, match=message):
        build_trainer(tmp_path, parallel=ParallelParams(expert_parallel_size=2))


def test_fit_halves_the_loss(tmp_path):
    checkpoint = CheckpointParams(save_every=100)
    log = build_trainer(tmp_path, steps=150, dropout=0.0, checkpoint=checkpoint).fit().log_lines
    assert log[-1]["loss"] < 0.5 * log[0]["loss"]


def test_fit_bfloat16_autocast_is_close_to_float32_with_float32_weights_and_router(tmp_path):
    expected = build_trainer(tmp_path / "a", 5).fit()
    trainer = build_trainer(tmp_path / "b", 5, precision="bfloat16")
    result = trainer.fit()
    assert result.train_loss == pytest.approx(expected.train_loss, rel=0.05)
    assert result.train_loss != expected.train_loss
    assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float32}
    routing = trainer.model.encoder.blocks[1].feed_forward.routing
    assert routing.mean_probs_E.dtype == torch.float32


def test_fit_log_and_dvclive_hold_throughput_and_load(tmp_path):
    build_trainer(
        tmp_path, steps=6, peak_flops=1e9, metrics_sink=DvcLiveSink(tmp_path / "live")
    ).fit()
    line = read_log(tmp_path / "log.jsonl")[-1]
    assert line["step"] == line["steps"] == 6
    assert line["tokens_per_second"] > 0
    assert line["mfu"] > 0
    assert 1 <= line["max_expert_load"] <= 3
    assert json.loads((tmp_path / "live" / "metrics.json").read_text())["loss"] == line["loss"]
    plotted = (tmp_path / "live" / "plots" / "metrics" / "loss.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in plotted] == ["step", *map(str, range(1, 7))]


def test_fit_result_has_the_validation_loss_of_the_final_weights(tmp_path):
    result = build_trainer(
        tmp_path, steps=3, validation=build_corpus(4, seed=9), validate_every=3, validate_rows=4
    ).fit()
    assert result.validation_loss == result.progress.validation_loss > 0
