"""Training steps on CUDA, against the CPU."""

import math

import pytest

from models.training.distributed import DistributedContext
from models.training.params import CheckpointParams
from tests.models.training.factories import build_model, build_trainer, moe_config

pytestmark = pytest.mark.gpu
ROUTERS = {"switch": 1, "st_moe": 2}


def losses_of_four_steps(folder, dist, router, precision):
    moe = moe_config(router=router, top_k=ROUTERS[router], expert_dropout=0.0)
    trainer = build_trainer(
        folder,
        steps=4,
        model=build_model(moe, dropout=0.0),
        dist=dist,
        precision=precision,
        dropout=0.0,
        checkpoint=CheckpointParams(save_every=2),
    )
    return [line["loss"] for line in trainer.fit().log_lines]


@pytest.mark.parametrize("router", ROUTERS)
def test_fit_on_cuda_in_float32_has_the_losses_of_the_cpu(tmp_path, device, router):
    expected = losses_of_four_steps(tmp_path / "cpu", DistributedContext(), router, "float32")
    dist = DistributedContext(device=device)
    losses = losses_of_four_steps(tmp_path / "cuda", dist, router, "float32")
    assert losses == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("router", ROUTERS)
def test_fit_on_cuda_in_bfloat16_is_close_to_float32(tmp_path, device, router):
    dist = DistributedContext(device=device)
    expected = losses_of_four_steps(tmp_path / "float32", dist, router, "float32")
    losses = losses_of_four_steps(tmp_path / "bfloat16", dist, router, "bfloat16")
    assert all(math.isfinite(loss) for loss in losses)
    assert losses == pytest.approx(expected, rel=0.05)
