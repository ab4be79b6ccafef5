from typing import get_args

import pytest

from models.architecture.moe.routers.checks import SUPPORTED_TOP_K, check_routers
from models.architecture.moe.routers.table import ROUTERS
from models.choices import RouterName
from models.config import MoEConfig
from models.errors import ConfigError
from models.presets import PRESETS, preset
from tests.models.factories import tiny_config


def test_router_names_and_tables_agree():
    assert set(ROUTERS) == set(SUPPORTED_TOP_K) == set(get_args(RouterName))


@pytest.mark.parametrize("name", PRESETS)
def test_check_routers_accepts_every_preset(name):
    check_routers(preset(name))


@pytest.mark.parametrize(
    ("moe_fields", "message"),
    [
        ({"top_k": 2}, "moe.top_k is 2: router switch supports 1"),
        ({"router": "gshard"}, "moe.top_k is 1: router gshard supports 2"),
        (
            {"router": "expert_choice"},
            "moe.router is 'expert_choice', which is not causal .*; set moe.decoder_router to "
            "switch or gshard or st_moe",
        ),
        ({"decoder_router": "expert_choice"}, "moe.decoder_router is 'expert_choice'"),
        ({"decoder_router": "st_moe"}, "moe.decoder_top_k is 1: router st_moe supports 2"),
        (
            {"router": "expert_choice", "top_k": 2, "decoder_router": "switch", "decoder_top_k": 1},
            "moe.top_k is 2: with expert_choice .* set top_k to 1",
        ),
        ({"normalize_gates": True}, "moe.normalize_gates is True: only the routers gshard and"),
        ({"second_expert_threshold": 0.2}, "moe.second_expert_threshold is 0.2: only the routers"),
        ({"load_balance_loss_choices": "all"}, "every token has a single choice; set it to first"),
    ],
)
def test_check_routers_rejects_an_unsupported_combination(moe_fields, message):
    config = tiny_config(moe=MoEConfig(num_experts=4, **moe_fields))
    with pytest.raises(ConfigError, match=message):
        check_routers(config)
