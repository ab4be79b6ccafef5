"""Frozen parameters do not change; all others do."""

import pytest
import torch

from models.errors import ConfigError
from models.training.freezing import freeze
from tests.models.training.factories import build_model, build_trainer, copy_weights, moe_config

NAME_PARTS = {"gate": ".router.", "experts": ".experts.", "moe": ".feed_forward."}


@pytest.mark.parametrize("part", ["gate", "experts", "moe"])
@pytest.mark.parametrize("inverted", [False, True])
def test_freeze_policy_trains_only_the_other_parameters(tmp_path, part, inverted):
    policy = f"all_but_{part}" if inverted else part
    model = build_model(moe_config(dense_after_moe=True, router="st_moe", top_k=2))
    trainer = build_trainer(tmp_path, model=model, freeze=policy)
    before = copy_weights(model)
    trainer.fit()
    for name, weight in model.state_dict().items():
        # The feed_forward of block 0 is dense, not an MoE layer.
        is_selected = ".blocks.1." in name and NAME_PARTS[part] in name
        has_changed = not torch.equal(weight, before[name])
        assert has_changed == (is_selected == inverted), name


def test_freeze_dense_model_is_rejected():
    with pytest.raises(ConfigError, match="freeze is 'gate', but the model has no MoE layer"):
        freeze(build_model(None), "gate")
