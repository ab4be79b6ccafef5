"""The short measurement of training speed."""

import dataclasses

from models.presets import PRESETS
from models.training.params import TrainingParams
from models.training.speed import measure_step_seconds


def test_measure_step_seconds_is_positive_and_shows_no_progress(capsys):
    config = dataclasses.replace(PRESETS["tiny_switch"], vocab_size=64)
    params = TrainingParams(global_batch_size=2)
    seconds = measure_step_seconds(config, params, encoder_length=8, decoder_length=8)
    assert 0 < seconds < 60
    assert capsys.readouterr().err == ""
