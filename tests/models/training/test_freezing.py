"""Frozen parts stay as they are."""

import pytest
import torch

from models.errors import ConfigError
from models.training.freezing import freeze
from tests.models.training.made import model, moe, trainer, weights


@pytest.mark.parametrize("what", ["gate", "experts", "moe"])
def test_frozen_parts_stay_and_the_rest_is_trained(tmp_path, what):
    parts = {"gate": (".router.",), "experts": (".experts.",), "moe": (".feed_forward.",)}[what]

    def inside(name):
        return ".blocks.1." in name and any(part in name for part in parts)

    for freeze_what, still in ((what, True), (f"all_but_{what}", False)):
        made = model(moe(dense_residual=True, router="st_moe", k=2))
        one = trainer(tmp_path / freeze_what, made=made, freeze=freeze_what)
        before = weights(one.model)
        one.fit()
        for name, weight in one.model.state_dict().items():
            # The dense block 0 has a feed_forward too: it is no MoE layer.
            moved = not torch.equal(weight, before[name])
            assert moved != (inside(name) == still), (freeze_what, name)


def test_freezing_what_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="freeze is 'gate', but the model has no MoE layer"):
        freeze(model(None), "gate")
