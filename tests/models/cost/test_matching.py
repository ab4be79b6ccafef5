import dataclasses

import pytest

from models.cost import flops
from models.cost.matching import D_FF_STEP, find_dense_matches
from models.presets import PRESETS, preset


@pytest.mark.parametrize("name", [n for n, c in PRESETS.items() if c.moe is not None])
def test_best_dense_match_costs_the_same_per_token(name):
    matches = find_dense_matches(name, preset(name))
    assert matches[0].config == preset(name).dense_twin()
    best = min(matches, key=lambda match: abs(match.ratio - 1))
    wider = dataclasses.replace(best.config, d_ff=best.config.d_ff + D_FF_STEP)
    step = flops.flops_per_token(wider) - flops.flops_per_token(best.config)
    # As close as a step of d_ff allows.
    assert abs(flops.flops_per_token(preset(name)) - best.flops_per_token) <= 0.51 * step
