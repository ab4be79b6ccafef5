"""Final weights: the best checkpoint, or an average of the last ones."""

import torch

from models.training.params import CheckpointParams
from tests.models.training.factories import (
    assert_equal_tensors,
    build_corpus,
    build_trainer,
    copy_weights,
)


def trainer_with_final_weights(folder, final_weights):
    return build_trainer(
        folder / final_weights,
        steps=8,
        validation=build_corpus(4, seed=9),
        validate_every=2,
        validate_rows=4,
        checkpoint=CheckpointParams(save_every=2, keep_last=3, final_weights=final_weights),
    )


def test_final_weights_best_and_average_match_the_steps_of_a_plain_run(tmp_path):
    weights_by_step = {}
    plain = trainer_with_final_weights(tmp_path, "last")
    plain.fit(on_step=lambda step: weights_by_step.update({step: copy_weights(plain.model)}))
    averaged = trainer_with_final_weights(tmp_path, "average")
    best = trainer_with_final_weights(tmp_path, "best")
    averaged.fit()
    best.fit()
    num_expert_weights = 0
    for name, weight in averaged.model.state_dict().items():
        mean = torch.stack([weights_by_step[step][name].double() for step in (4, 6, 8)]).mean(0)
        torch.testing.assert_close(weight.double(), mean, atol=1e-7, rtol=1e-6)
        num_expert_weights += name.endswith("wi_EDF")
    assert num_expert_weights == 2  # stacked experts are averaged too
    best_step = best.checkpointer.best().step
    assert_equal_tensors(copy_weights(best.model), weights_by_step[best_step])
