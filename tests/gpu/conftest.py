"""Skip the tests of this folder without a GPU.

`scripts/gpu_report` runs them where only a few packages are installed: this file and the tests
import torch, pytest and the project's models only.
"""

import pytest
import torch


def pytest_runtest_setup(item):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture
def device():
    return torch.device("cuda", 0)
