"""The loss, against torch and a loop over tokens."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.training.batches import count_tokens, to_tensors
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


def uneven_batch(num_rows=6):
    """Rows of 2 to 7 encoder and 1 to 5 decoder tokens."""
    batch = to_tensors(build_corpus(num_rows, uneven=True), np.arange(num_rows))
    for row in range(num_rows):
        batch["encoder_segment_ids"][row, 2 + row :] = 0
    return batch


def split_batch(batch, *sizes):
    parts = {name: tensor.split(sizes) for name, tensor in batch.items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(len(sizes))]


def accumulate(model, parts):
    """Return the sums over the parts of total and load-balancing loss, and the gradients."""
    num_inputs, num_targets = (
        count_tokens(parts, column) for column in ("encoder_segment_ids", "decoder_segment_ids")
    )
    model.zero_grad()
    total = balance = 0.0
    for part in parts:
        loss = compute_loss(model, model, part, num_inputs=num_inputs, num_targets=num_targets)
        loss.total.backward()
        total, balance = total + loss.total.item(), balance + loss.load_balance_loss.item()
    return total, balance, {name: w.grad.clone() for name, w in model.named_parameters()}


@pytest.mark.parametrize("sizes", [(1, 5), (4, 2), (3, 1, 2)])
def test_accumulated_unequal_parts_have_the_loss_and_gradients_of_the_undivided_batch(sizes):
    moe = moe_config(z_loss_weight=0.5, load_balance_loss_weight=0.0, capacity_factor_train=None)
    model = build_model(moe, dropout=0.0).eval()
    batch = uneven_batch()
    total, _, gradients = accumulate(model, split_batch(batch, *sizes))
    expected, _, expected_gradients = accumulate(model, [batch])
    assert total == pytest.approx(expected, rel=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-4, atol=1e-6)


def test_accumulated_parts_weigh_the_load_balancing_loss_by_their_tokens():
    moe = moe_config(capacity_factor_train=None, router_loss_reduction="sum")
    model = build_model(moe, dropout=0.0).eval()
    parts = split_batch(uneven_batch(), 1, 5)
    _, balance, _ = accumulate(model, parts)
    expected = 0.0
    for part in parts:
        forward(model, part)
        for name, layer in model.moe_layers().items():
            column = f"{name.split('.')[0]}_segment_ids"
            share = int((part[column] > 0).sum()) / int(count_tokens(parts, column))
            expected += share * layer.routing.load_balance_loss.item()
    assert balance == pytest.approx(expected, rel=1e-5)
    unweighted = sum(accumulate(model, [part])[1] for part in parts) / 2
    assert balance != pytest.approx(unweighted, rel=1e-3)
