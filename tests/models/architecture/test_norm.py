import pytest
import torch
from torch.nn import functional as F

from models.architecture.norm import EPSILON, RMSNorm
from tests.models.architecture.factories import assert_equal_with_gradients


@pytest.mark.parametrize("shape", [(5, 24), (2, 3, 24), (0, 24)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norm_equals_torch_rms_norm(shape, dtype):
    norm = RMSNorm(24)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(shape, requires_grad=True)
    expected = F.rms_norm(x, (24,), norm.weight, EPSILON)
    assert_equal_with_gradients(norm(x), expected, x, norm.weight)
    with torch.no_grad():
        torch.testing.assert_close(norm(x), expected)


def test_norm_of_bfloat16_is_bfloat16():
    norm = RMSNorm(24)
    norm.reset_parameters()
    assert norm(torch.randn(5, 24).to(torch.bfloat16)).dtype == torch.bfloat16
