"""The loss, against torch and a loop."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.training.batches import to_tensors
from models.training.loss import compute
from models.training.params import LossParams
from tests.models.training.made import corpus, model


def test_loss_is_the_mean_over_targets_plus_weighted_balance():
    made = model().eval()
    batch = to_tensors(corpus(), np.arange(4))
    loss = compute(made, made, batch)
    logits = made(
        batch["encoder_input_tokens"],
        batch["encoder_segment_ids"],
        batch["decoder_input_tokens"],
        batch["decoder_segment_ids"],
    )
    logp = torch.log_softmax(logits, -1).detach()
    total, count = 0.0, 0
    for row in range(4):
        for column in range(6):
            if batch["decoder_segment_ids"][row, column] > 0:
                total -= float(logp[row, column, batch["decoder_target_tokens"][row, column]])
                count += 1
    balance = sum(float(m.routing.balance_loss.detach()) for m in made.moe_layers().values())
    assert int(loss.tokens) == count
    assert float(loss.nats) == pytest.approx(total, rel=1e-5)
    assert loss.total.item() == pytest.approx(total / count + 0.01 * balance, rel=1e-5)


def test_smoothing_and_output_z_loss_against_torch_and_a_loop():
    made, batch = model(None).eval(), to_tensors(corpus(uneven=True), np.arange(4))
    params = LossParams(label_smoothing=0.2, z_loss_weight=0.01)
    loss = compute(made, made, batch, params=params)
    logits = made(
        batch["encoder_input_tokens"],
        batch["encoder_segment_ids"],
        batch["decoder_input_tokens"],
        batch["decoder_segment_ids"],
    ).detach()
    valid = batch["decoder_segment_ids"] > 0
    smooth = F.cross_entropy(
        logits[valid], batch["decoder_target_tokens"][valid], label_smoothing=0.2
    )
    z = sum(math.log(float(row.exp().sum())) ** 2 for row in logits[valid].double())
    assert float(loss.total) == pytest.approx(float(smooth) + 0.01 * z / int(valid.sum()), rel=1e-5)
    plain = F.cross_entropy(logits[valid], batch["decoder_target_tokens"][valid], reduction="sum")
    assert float(loss.nats) == pytest.approx(float(plain), rel=1e-6)
