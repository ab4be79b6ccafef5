import pytest

from models.architecture.moe.dispatch import checks
from models.architecture.moe.dispatch.checks import check_dispatch, check_expert_parallel
from models.errors import ConfigError
from tests.models.architecture.moe.factories import moe_model_config

EXPERT_CHOICE = moe_model_config("expert_choice", 4, 1.0, decoder_router="st_moe")


def test_check_dispatch_rejects_an_unknown_backend():
    message = "'nativ' is not one of native, tutel, fairscale; did you mean 'native'?"
    with pytest.raises(ConfigError) as caught:
        check_dispatch("nativ", EXPERT_CHOICE)
    assert str(caught.value) == message


def test_check_dispatch_rejects_bfloat16_with_fairscale():
    with pytest.raises(ConfigError, match="'fairscale' does not support precision bfloat16"):
        check_dispatch("fairscale", EXPERT_CHOICE, precision="bfloat16")
    check_dispatch("fairscale", EXPERT_CHOICE)


def test_check_dispatch_rejects_tutel_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="'tutel' is not installed; follow https"):
        check_dispatch("tutel", EXPERT_CHOICE)


def test_check_dispatch_rejects_expert_choice_with_tutel(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda _: object())
    with pytest.raises(ConfigError, match=r"expert_choice, .*; use native or fairscale"):
        check_dispatch("tutel", EXPERT_CHOICE)


def test_check_expert_parallel_rejects_an_uneven_sharding():
    with pytest.raises(ConfigError, match="8 experts cannot be sharded evenly over 3 ranks"):
        check_expert_parallel(3, moe_model_config("switch", 8))
