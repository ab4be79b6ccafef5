"""flanmoe check: what each mistake in params.yaml is told."""

import copy
from pathlib import Path

import pytest

from flows.config.load import apply_overrides, parse_params, read_params
from flows.errors import InvalidParams
from flows.runtime.workspace import override

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        (
            "models.training.optim.lrr=1",
            "models.training.optim.lrr: unknown key; did you mean 'lr'",
        ),
        ("model.training=1", "model: unknown key; did you mean 'models'"),
        ("models.training.optim.lr=fast", "models.training.optim.lr: 'fast'"),
        ("models.training.optim.lr=-1", "lr and clip must be above 0"),
        ("models.training.global_batch_size=2.5", "models.training.global_batch_size: 2.5"),
        ("models.training.processes_per_node=3", "cannot be shared evenly by 3 processes"),
        ("models.runs.moe_base.preset=tiny_swich", "did you mean 'tiny_switch'"),
        (
            "models.training.dispatch=nativ",
            "models.training.dispatch: 'nativ' is not one of native, tutel, fairscale; "
            "did you mean 'native'?",
        ),
        ("models.runs.moe_base.preset=tiny_st", "run 'moe_base' is of preset 'tiny_st'"),
        ("models.runs.dense_base.preset=tiny_st", "or the dense model of the same sizes"),
        (
            "models.runs.moe_base.training={optim: {lrr: 1}}",
            "models.runs.moe_base.training.optim.lrr: unknown key; did you mean 'lr'",
        ),
        (
            "models.runs.moe_base.training={optim: {lr: -1}}",
            "models.runs.moe_base.training.optim: lr and clip must be above 0",
        ),
        ("models.runs.dense_base.training={freeze: gate}", "'tiny_dense' of run dense_base has no"),
        ("models.training.freeze=gates", "it must be one of gate, experts, moe, all_but_gate"),
        (
            "models.training.parallel={experts: 2}",
            "experts: is 2, which does not divide the 1 proc",
        ),
        ("models.training.parallel={experts: 3}", "8 experts cannot be sharded evenly over 3"),
        ("models.training.parallel={data: zero}", "must be one of oss, ddp, sharded, fsdp"),
        ("models.training.validate_every=30", "0 or a multiple of checkpoint.save_every, 100"),
        (
            "models.training.checkpoint={final: best}",
            "checkpoint.final_weights is best: set validate_every",
        ),
        ("models.training.gradient_accumulation_steps=3", "by 1 processes in 3 parts"),
        ("flows.fleet={launcher: slrum}", "must be one of local, rendezvous, work_pool, slurm"),
        ("flows.fleet={launcher: rendezvous, nodes: 2}", "needs an endpoint, HOST:PORT"),
        (
            "flows.fleet={launcher: slurm, nodes: 3}",
            "models.training.global_batch_size: 16 cannot be shared evenly by 3 processes",
        ),
        ("models.runs.moe_base.start=moe_instruct", "leads back to itself"),
        (
            "models.runs.moe_base.start=nobody",
            "there is no run 'nobody', and no folder runs/nobody",
        ),
        ("models.runs.moe_base.data=test", "must be pretrain or train"),
        ("models.runs.scratch={preset: tiny_dense, start: scratch}", "a run is named with"),
        ("models.runs.x={preset: tiny_dense}", "models.runs.x.start: is missing"),
        ("models.runs=null", "models.runs"),
        ("data_pipelines.mix.shares={mufin: 1}", "'mufin'"),
        ("data_pipelines.mix.shares={cot: 0}", "shares must not be negative"),
        ("data_pipelines.fetch.sample=null", "nothing to fetch"),
        ("data_pipelines.fetch.sources=[cot/flam]", "did you mean 'cot/flan'"),
        ("data_pipelines.fetch.licences=[free]", "licences.0: 'free' is not one of open"),
        ("data_pipelines.fetch.catalog=none.yaml", "'none.yaml': no such file"),
        ("models.evaluation.suites=[sampel]", "did you mean 'sample'"),
        ("models.evaluation.suites=[mmlu_direct]", "mmlu_direct needs mmlu, which no source in"),
        ("models.evaluation.suites=[]", "must name at least one suite"),
        ("models.evaluation.limit=0", "limit must be at least 1, not 0"),
        ("models.evaluation.engine=spark", "engine: 'spark' is not one of local, dask"),
        (
            "data_pipelines.read.niv2_split=offical",
            "niv2_split: 'offical' is not one of official, all",
        ),
        ("data_pipelines.read.t0_sets=[BSAE]", "t0_sets.0: 'BSAE' is not one of BASE"),
        (
            "data_pipelines.clean.contamination=keep",
            "contamination: 'keep' is not one of drop, flag",
        ),
        ("data_pipelines.clean.near_similarity=2", "must lie in [0.5, 1]"),
        ("data_pipelines.mix.temperature=0", "temperature must be at least 1"),
        ("data_pipelines.engine=spark", "engine: 'spark' is not one of local, dask"),
        ("data_pipelines.scheduler=tcp://x:1", "scheduler requires engine: dask"),
        ("data_pipelines.workers=-1", "workers must not be negative"),
        ("data_pipelines.pack.encoder_length=2", "at least 8"),
        ("dashboard.port=0", "port must lie between"),
        ("flows.parallel=0", "parallel must lie between"),
    ],
)
def test_mistakes_are_told_with_path_value_and_what_is_allowed(assignment, told):
    data = override(read(ROOT / "params.yaml"), (assignment,))
    with pytest.raises(InvalidParams) as caught:
        parse(data, "params.yaml", ROOT)
    assert told in str(caught.value)
    assert all(line.startswith("params.yaml: ") for line in str(caught.value).splitlines())


def test_numbers_that_yaml_reads_as_text_are_numbers():
    data = override(read(ROOT / "params.yaml"), ("models.training.optim.lr='1e-4'",))
    assert parse(data, "x", ROOT).models.training.optim.lr == 1e-4


def test_every_unknown_key_is_told_at_once():
    data = copy.deepcopy(read(ROOT / "params.yaml"))
    data["flows"]["a"] = data["registry"]["b"] = 1
    with pytest.raises(InvalidParams) as caught:
        parse(data, "params.yaml", ROOT)
    assert len(str(caught.value).splitlines()) == 2


def test_a_mistake_is_told_once_not_with_its_consequences():
    data = override(read(ROOT / "params.yaml"), ("models.runs.moe_base.preset=tiny_swich",))
    with pytest.raises(InvalidParams) as caught:
        parse(data, "params.yaml", ROOT)
    assert len(str(caught.value).splitlines()) == 1
