"""A run that continues with the optimizer state of another, against a run without interruption."""

import dataclasses

import pytest
import torch

from models.errors import DataMismatch
from models.training.distributed import DistributedContext
from models.training.optimizer_files import save_optimizer
from models.training.params import OptimParams
from tests.models.training.factories import build_corpus, build_model, build_trainer, moe_config

MOE = moe_config(expert_dropout=0.0)


def optim(name):
    return OptimParams(name=name, schedule="constant", warmup_steps=0, lr=0.01)


def save(trainer, folder):
    optimizers = trainer.parallel_model.optimizers
    save_optimizer(folder, trainer.model, optimizers, DistributedContext())


def train(folder, model, name, steps, **arguments):
    trainer = build_trainer(
        folder, steps, model=model, corpus=build_corpus(16), optim=optim(name), **arguments
    )
    trainer.fit()
    return trainer


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_run_with_the_optimizer_state_of_another_continues_its_updates(tmp_path, name):
    """Both halves read the same batches, so the fresh state alone makes a difference."""
    first = train(tmp_path / "first", build_model(MOE, dropout=0.0), name, 3)
    save(first, tmp_path / "optimizer")
    middle = {n: w.clone() for n, w in first.model.state_dict().items()}
    # The optimizer that has taken the first three steps goes on with the batches of a new run.
    expected = build_trainer(
        tmp_path / "expected", 3, model=first.model, corpus=build_corpus(16), optim=optim(name)
    )
    expected.parallel_model = first.parallel_model
    expected.fit()

    def second(**arguments):
        model = build_model(MOE, dropout=0.0)
        model.load_state_dict(middle)
        name_of_folder = "continued" if arguments else "fresh"
        return train(tmp_path / name_of_folder, model, name, 3, **arguments).model.state_dict()

    continued = second(initial_optimizer=tmp_path / "optimizer")
    fresh = second()
    for weight, value in expected.model.state_dict().items():
        assert torch.equal(continued[weight], value), weight
    assert any(not torch.equal(fresh[weight], value) for weight, value in continued.items())


def test_missing_optimizer_state_is_rejected_with_what_to_set(tmp_path):
    with pytest.raises(DataMismatch, match=r"optimizer is missing; set .*save_optimizer"):
        build_trainer(tmp_path / "run", initial_optimizer=tmp_path / "optimizer")


@pytest.mark.parametrize("difference", ["optimizer", "model"])
def test_state_of_another_optimizer_or_model_is_rejected(tmp_path, difference):
    first = train(tmp_path / "first", build_model(MOE), "adamw", 1)
    save(first, tmp_path / "optimizer")
    moe = dataclasses.replace(MOE, num_experts=5) if difference == "model" else MOE
    name = "adafactor" if difference == "optimizer" else "adamw"
    with pytest.raises(DataMismatch, match="is not the state of this optimizer and model") as error:
        build_trainer(
            tmp_path / "second",
            model=build_model(moe),
            optim=optim(name),
            initial_optimizer=tmp_path / "optimizer",
        )
    assert "\n" not in str(error.value)
