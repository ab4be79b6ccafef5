"""The loss, against torch and a loop over tokens."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.training.batches import to_tensors
from models.training.loss import compute_loss
from models.training.params import LossParams
from tests.models.training.factories import build_corpus, build_model, moe_config


def forward(model, batch):
    return model(
        batch["encoder_input_tokens"],
        batch["encoder_segment_ids"],
        batch["decoder_input_tokens"],
        batch["decoder_segment_ids"],
    )


@pytest.mark.parametrize(
    ("fields", "reduction"),
    [
        ({}, "mean"),
        ({"router_loss_reduction": "sum"}, "sum"),
        ({"decoder_load_balance_loss_weight": 0.5, "z_loss_weight": 0.25}, "mean"),
        (
            {
                "router": "expert_choice",
                "decoder_router": "st_moe",
                "decoder_top_k": 2,
                "load_balance_loss_weight": 0.0,
                "decoder_load_balance_loss_weight": 0.125,
                "load_balance_loss_choices": "all",
            },
            "mean",
        ),
    ],
)
def test_compute_loss_moe_is_the_mean_cross_entropy_plus_router_losses(fields, reduction):
    moe = moe_config(moe_every=1, **fields)
    model = build_model(moe).eval()
    batch = to_tensors(build_corpus(), np.arange(4))
    loss = compute_loss(model, model, batch)
    log_probs = torch.log_softmax(forward(model, batch), -1).detach()
    total, count = 0.0, 0
    for row in range(4):
        for column in range(6):
            if batch["decoder_segment_ids"][row, column] > 0:
                target = batch["decoder_target_tokens"][row, column]
                total -= float(log_probs[row, column, target])
                count += 1
    layers = model.moe_layers()
    assert len(layers) == 4
    decoder_weight = moe.decoder_load_balance_loss_weight
    weighted = []
    for name, layer in layers.items():
        weight = moe.load_balance_loss_weight
        if name.startswith("decoder") and decoder_weight is not None:
            weight = decoder_weight
        balance = float(layer.routing.load_balance_loss.detach())
        weighted.append(weight * balance + moe.z_loss_weight * float(layer.routing.z_loss.detach()))
    router_loss = sum(weighted) / (len(weighted) if reduction == "mean" else 1)
    assert int(loss.num_targets) == count
    assert float(loss.cross_entropy_sum) == pytest.approx(total, rel=1e-5)
    assert loss.total.item() == pytest.approx(total / count + router_loss, rel=1e-5)


def test_compute_loss_label_smoothing_and_z_loss_match_torch_and_a_loop():
    model = build_model(None).eval()
    batch = to_tensors(build_corpus(uneven=True), np.arange(4))
    params = LossParams(label_smoothing=0.2, z_loss_weight=0.01)
    loss = compute_loss(model, model, batch, params=params)
    valid = batch["decoder_segment_ids"] > 0
    logits, targets = forward(model, batch).detach()[valid], batch["decoder_target_tokens"][valid]
    smoothed = F.cross_entropy(logits, targets, label_smoothing=0.2)
    z_loss = sum(math.log(float(row.exp().sum())) ** 2 for row in logits.double())
    expected = float(smoothed) + 0.01 * z_loss / int(valid.sum())
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    plain = F.cross_entropy(logits, targets, reduction="sum")
    assert float(loss.cross_entropy_sum) == pytest.approx(float(plain), rel=1e-6)
