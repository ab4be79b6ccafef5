import pytest
import torch

from models.architecture.t5 import T5
from models.cost.memory import OPTIMIZERS, training_memory
from models.presets import preset
from models.training.adafactor import Adafactor

OPTIMIZER_CLASSES = {"adamw": torch.optim.AdamW, "adafactor": Adafactor}


@pytest.mark.parametrize("name", ["tiny_dense", "tiny_switch", "tiny_st"])
@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_training_memory_equals_the_state_of_the_optimizers(name, optimizer_name):
    model = T5(preset(name)).reset_parameters(0)
    optimizer = OPTIMIZER_CLASSES[optimizer_name](model.parameters(), lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    state_bytes = sum(
        tensor.numel() * 4
        for state in optimizer.state.values()
        for key, tensor in state.items()
        if key != "step" and torch.is_tensor(tensor)
    )
    memory = training_memory(preset(name), optimizer_name)
    assert memory.optimizer == state_bytes
    num_weights = sum(p.numel() for p in model.parameters())
    assert memory.weights == memory.gradients == 4 * num_weights
    assert memory.bfloat16_weights == 2 * num_weights
