"""Dispatch backends that are installed."""

import pytest
import torch

from models.architecture.moe.dispatch.table import DISPATCHERS
from tests.models.architecture.moe.factories import INSTALLED_BACKENDS


@pytest.fixture(scope="module")
def dispatchers():
    yield {name: DISPATCHERS[name](None) for name in INSTALLED_BACKENDS}
    torch.distributed.destroy_process_group()  # fairscale's group of a single rank
