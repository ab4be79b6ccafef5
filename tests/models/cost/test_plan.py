"""Sizes and costs of runs from their configuration alone."""

import json

import pytest

from models.architecture.t5 import T5
from models.config import pad_vocab_size
from models.cost.flops import count_parameters
from models.cost.plan import DataSizes, plan_runs
from models.errors import CorruptCheckpoint, UnknownModel
from models.presets import preset
from models.training.params import RunParams, TrainingParams
from models.weights import save_weights

DATA = DataSizes(vocab_size=1000, encoder_length=128, decoder_length=48)


def plan(runs, workspace, data=DATA):
    training = {name: TrainingParams() for name in runs}
    return {planned.name: planned for planned in plan_runs(runs, training, data, workspace)}


def test_plan_adds_the_cost_of_every_start(tmp_path):
    planned = plan(
        {
            "last": RunParams(preset="tiny_gs", start="tuned", steps=1),
            "tuned": RunParams(preset="tiny_dense", start="base", steps=20),
            "base": RunParams(preset="tiny_dense", start="scratch", steps=300),
            "unchanged": RunParams(preset="tiny_dense", start="tuned", steps=0),
        },
        tmp_path,
    )
    assert list(planned) == ["last", "tuned", "base", "unchanged"]
    base = planned["base"]
    assert base.cumulative_flops == base.flops.total
    assert planned["tuned"].cumulative_flops == base.flops.total * 320 // 300
    upcycled = planned["last"]
    assert upcycled.cumulative_flops == upcycled.flops.total + base.flops.total * 320 // 300
    assert planned["unchanged"].flops.total == 0
    assert planned["unchanged"].cumulative_flops == planned["tuned"].cumulative_flops


@pytest.mark.parametrize(("vocab_size", "padded"), [(640, 640), (641, 704), (1000, 1024)])
def test_plan_has_the_vocabulary_of_the_tokenizer(tmp_path, vocab_size, padded):
    assert pad_vocab_size(vocab_size) == padded
    data = DataSizes(vocab_size=vocab_size, encoder_length=128, decoder_length=48)
    runs = {"run": RunParams(preset="tiny_dense", start="scratch")}
    config = plan(runs, tmp_path, data)["run"].config
    sizes = preset("tiny_dense")
    expected = count_parameters(sizes).total + 2 * (padded - 1024) * sizes.d_model
    assert count_parameters(config).total == expected


def test_plan_from_imported_weights_has_their_vocabulary_and_an_unknown_cost(tmp_path):
    folder = tmp_path / "runs" / "imported" / "weights"
    runs = {
        "tuned": RunParams(preset="tiny_dense", start="imported", steps=2),
        "later": RunParams(preset="tiny_dense", start="tuned", steps=2),
    }
    with pytest.raises(UnknownModel, match="has no trained model"):
        plan(runs, tmp_path)
    save_weights(folder, T5(preset("tiny_dense")), "t" * 64)
    small = DataSizes(vocab_size=500, encoder_length=128, decoder_length=48)
    planned = plan(runs, tmp_path, small)
    for run in planned.values():
        assert run.config.vocab_size == 1024
        assert run.flops.total > 0
        assert run.cumulative_flops is None
    (folder / "config.json").write_text(json.dumps({"model": {}}))
    with pytest.raises(CorruptCheckpoint, match=r"config\.json cannot be read"):
        plan(runs, tmp_path)
