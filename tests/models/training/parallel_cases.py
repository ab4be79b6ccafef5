"""Cases of test_parallel: settings whose training must equal that of a single rank.

Imported by the tests and by `train_cases.py`.
"""

import importlib.util
from dataclasses import dataclass, field

from models.training.params import (
    CheckpointParams,
    LossParams,
    OptimParams,
    ParallelParams,
    TrainingParams,
)
from models.training.trainer import Trainer
from tests.models.training.factories import build_corpus, build_model, moe_config

DATA_PARALLEL = ("ddp", "oss", "sharded", "fsdp")
HAS_TUTEL = importlib.util.find_spec("tutel") is not None


@dataclass(frozen=True, kw_only=True)
class ParallelCase:
    """Settings of a run, and the single-rank run that it must equal."""

    reference: str = ""
    moe: dict | None = field(default_factory=dict)
    """Changes of the MoE configuration; None: a dense model."""
    optimizer: str = "adamw"
    parallel: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)


DENSE = {"moe": None}
TOP2 = {"moe": {"router": "st_moe", "top_k": 2, "dense_after_moe": True}}
RECOMPUTED = {"training": {"activation_checkpointing": True}}
ACCUMULATED = {"training": {"gradient_accumulation_steps": 2}}
FROZEN = {"training": {"freeze": "all_but_moe"}}
# First-choice shares are those of a microbatch, so the load-balancing loss differs from that of the
# full batch.
WITHOUT_BALANCE = {"moe": {"load_balance_loss_weight": 0.0}}
REFERENCES = {
    "dense": ParallelCase(**DENSE),
    "moe": ParallelCase(),
    "adafactor": ParallelCase(optimizer="adafactor"),
    "top2": ParallelCase(**TOP2),
    "frozen": ParallelCase(**FROZEN),
    "without_balance": ParallelCase(**WITHOUT_BALANCE),
}


def cases_for(world_size):
    """Return the cases to train on that many ranks, by name."""
    return _cases_of_two_ranks() if world_size == 2 else _cases_of_four_ranks()


def _case(reference, data_parallel, expert_parallel_size=2, **settings):
    parallel = {"data_parallel": data_parallel, "expert_parallel_size": expert_parallel_size}
    return ParallelCase(reference=reference, parallel=parallel, **settings)


def _cases_of_two_ranks():
    cases = {}
    for kind in DATA_PARALLEL:
        cases[f"{kind}_dense"] = _case("dense", kind, 1, **DENSE)
        cases[f"{kind}_1"] = _case("moe", kind, 1)
        cases[f"{kind}_2"] = _case("moe", kind, 2)
        if HAS_TUTEL:
            cases[f"{kind}_tutel"] = _case("moe", kind, training={"dispatch": "tutel"})
    for kind in ("oss", "fsdp"):
        cases[f"{kind}_adafactor"] = _case("adafactor", kind, optimizer="adafactor")
    for kind in ("sharded", "fsdp"):
        cases[f"{kind}_recomputed"] = _case("top2", kind, **TOP2, **RECOMPUTED)
        cases[f"{kind}_accumulated"] = _case(
            "without_balance", kind, **WITHOUT_BALANCE, **ACCUMULATED
        )
    for kind in ("ddp", "sharded"):
        cases[f"{kind}_frozen"] = _case("frozen", kind, **FROZEN)
    cases["oss_fairscale"] = _case("moe", "oss", training={"dispatch": "fairscale"})
    return cases


def _cases_of_four_ranks():
    """Return cases with meshes of 2 x 2 ranks, and of 1 x 4."""
    cases = {f"{kind}_2": _case("moe", kind, 2) for kind in DATA_PARALLEL}
    cases |= {f"{kind}_4": _case("moe", kind, 4) for kind in ("oss", "fsdp")}
    cases["fsdp_adafactor"] = _case("adafactor", "fsdp", optimizer="adafactor")
    return cases


def build_case_trainer(case, folder, dist=None):
    """Build the trainer of a case; its data, weights and seed are the same for all."""
    moe = None
    if case.moe is not None:
        # With groups of one row, full experts drop the same tokens on any number of ranks.
        moe = moe_config(
            **{
                "num_experts": 4,
                "group_rows": 1,
                "min_capacity": 1,
                "expert_dropout": 0.0,
                "z_loss_weight": 1e-3,
                **case.moe,
            }
        )
    params = TrainingParams(
        global_batch_size=8,
        log_every=1,
        optim=OptimParams(name=case.optimizer, warmup_steps=5, max_grad_norm=0.5),
        loss=LossParams(z_loss_weight=1e-3, label_smoothing=0.1),
        parallel=ParallelParams(**case.parallel),
        checkpoint=CheckpointParams(save_every=50),
        validate_rows=9,
        **case.training,
    )
    return Trainer(
        model=build_model(moe, dropout=0.0),
        corpus=build_corpus(24, uneven=True),
        validation=build_corpus(9, seed=3, uneven=True),
        params=params,
        steps=5,  # the corpus has three batches, so this is more than an epoch
        seed=1,
        folder=folder,
        dist=dist,
    )
