"""Parameters: the error line of each mistake, `--set`, and files that cannot be read."""

from pathlib import Path

import pytest

from flows.config.load import apply_overrides, parse_params, read_params
from flows.errors import InvalidParams

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        (
            "models.training.optim.lrr=1",
            "models.training.optim.lrr: unknown key; did you mean 'lr'",
        ),
        ("model.training=1", "model: unknown key; did you mean 'models'"),
        ("models.training.optim.lr=fast", "models.training.optim.lr: 'fast'"),
        ("models.training.optim.lr=-1", "models.training.optim.lr: -1 must be above 0"),
        ("models.training.global_batch_size=2.5", "models.training.global_batch_size: 2.5"),
        (
            "models.training.processes_per_node=3",
            "models.training.global_batch_size: 64 cannot be shared evenly by 3 processes",
        ),
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
            "models.runs.moe_base.training.optim.lr: -1 must be above 0",
        ),
        (
            "models.runs.dense_base.training={freeze: gate}",
            "models.runs.dense_base.training.freeze: 'gate' needs MoE layers; preset 'tiny_dense'",
        ),
        (
            "models.runs.dense_base.model={d_fff: 8}",
            "models.runs.dense_base.model.d_fff: unknown key; did you mean 'd_ff'",
        ),
        (
            "models.runs.moe_base.model={moe: {num_experts: true}}",
            "models.runs.moe_base.model.moe.num_experts: true must be a whole number",
        ),
        (
            "models.runs.moe_base.model={moe: {num_experts: 1}}",
            "models.runs.moe_base.model: moe.num_experts is 1: an MoE layer needs at least 2",
        ),
        (
            "models.runs.dense_base.model={vocab_size: 64}",
            "models.runs.dense_base.model: vocab_size: it is the tokenizer's; remove it",
        ),
        (
            "models.runs.moe_base.model={d_ff: 128}",
            "run 'moe_base' is of preset 'tiny_switch' with d_ff changed, this one of ",
        ),
        ("models.training.freeze=gates", "'gates' is not one of gate, experts, moe"),
        (
            "models.training.parallel={expert_parallel_size: 2}",
            "expert_parallel_size: 2 does not divide the world size 1",
        ),
        (
            "models.training.parallel={expert_parallel_size: 3}",
            "16 experts cannot be sharded evenly over 3",
        ),
        (
            "models.training.parallel={data_parallel: zero}",
            "'zero' is not one of oss, ddp, sharded, fsdp",
        ),
        ("models.training.validate_every=30", "0 or a multiple of checkpoint.save_every, 500"),
        (
            "models.training.checkpoint={final_weights: best}",
            "checkpoint.final_weights: best needs validate_every",
        ),
        (
            "models.training.gradient_accumulation_steps=3",
            "64 cannot be shared evenly by 1 processes in 3 microbatches",
        ),
        (
            "flows.fleet={launcher: slrum}",
            "flows.fleet.launcher: 'slrum' is not one of local, rendezvous, work_pool, slurm; "
            "did you mean 'slurm'?",
        ),
        ("flows.fleet={launcher: rendezvous, nodes: 2}", "needs an endpoint, HOST:PORT"),
        (
            "flows.fleet={launcher: slurm, nodes: 3}",
            "models.training.global_batch_size: 64 is not divisible by world size 3",
        ),
        ("models.runs.moe_base.start=moe_instruct", "leads back to itself"),
        (
            "models.runs.moe_base.start=nobody",
            "there is no run 'nobody', and no folder runs/nobody",
        ),
        (
            "models.runs.moe_base.data=test",
            "'test' is not one of span_corruption, prefix_lm, train",
        ),
        (
            "data_pipelines.pack.noise_density=1",
            "data_pipelines.pack.noise_density: 1 must be below 1",
        ),
        (
            "data_pipelines.pack.noise_density=0",
            "data_pipelines.pack.noise_density: 0 must be above",
        ),
        (
            "data_pipelines.pack.mean_noise_span_length=0",
            "data_pipelines.pack.mean_noise_span_length: 0 must be at least 1",
        ),
        (
            "data_pipelines.tokenizer.num_sentinels=0",
            "data_pipelines.tokenizer.num_sentinels: 0 must be at least 1",
        ),
        (
            "data_pipelines.mix.max_repeats=0",
            "data_pipelines.mix.max_repeats: 0 must be at least 1",
        ),
        (
            "models.runs.moe_base.data=pretrain",
            "models.runs.moe_base.data: 'pretrain' was removed: each pre-training objective has a "
            "corpus; set span_corruption, or prefix_lm",
        ),
        (
            "data_pipelines.pack.span_corruption_share=0.5",
            "data_pipelines.pack.span_corruption_share: unknown key; it was removed: each",
        ),
        (
            "models.runs.scratch={preset: tiny_dense, start: scratch}",
            "models.runs: the name 'scratch' means random weights; use another",
        ),
        (
            "models.runs.v3={preset: tiny_dense, start: scratch}",
            "models.runs: the name 'v3' means a registered version; use another",
        ),
        (
            "models.runs.a b={preset: tiny_dense, start: scratch}",
            "models.runs: 'a b' is not a valid name; use up to 100 letters, digits and _",
        ),
        ("models.runs.x={preset: tiny_dense}", "models.runs.x.start: is missing"),
        ("models.runs=null", "models.runs"),
        (
            "data_pipelines.mix.shares={mufin: 1}",
            "shares.mufin: unknown mixture; did you mean 'muffin'?",
        ),
        ("data_pipelines.mix.shares={cot: 0}", "mix.shares: no share is above 0"),
        (
            "data_pipelines.fetch.sample=null",
            "data_pipelines.fetch.sample: null leaves nothing to fetch",
        ),
        ("data_pipelines.fetch.sources=[cot/flam]", "did you mean 'cot/flan'"),
        ("data_pipelines.fetch.licences=[free]", "licences.0: 'free' is not one of open"),
        ("data_pipelines.fetch.catalog=none.yaml", "none.yaml' does not exist"),
        ("models.evaluation.suites=[sampel]", "did you mean 'sample'"),
        ("models.evaluation.suites=[mmlu_direct]", "mmlu_direct needs mmlu, which no source in"),
        ("models.evaluation.suites=[]", "models.evaluation.suites: [] is empty"),
        ("models.evaluation.limit=0", "models.evaluation.limit: 0 must be at least 1"),
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
        (
            "data_pipelines.clean.jaccard_threshold=2",
            "data_pipelines.clean.jaccard_threshold: 2 must be at most 1",
        ),
        (
            "data_pipelines.mix.temperature=0",
            "data_pipelines.mix.temperature: 0 must be at least 1",
        ),
        ("data_pipelines.engine=spark", "engine: 'spark' is not one of local, dask"),
        (
            "data_pipelines.scheduler=tcp://x:1",
            "data_pipelines.scheduler: 'tcp://x:1' requires engine: dask",
        ),
        ("data_pipelines.workers=-1", "data_pipelines.workers: -1 must be at least 0"),
        (
            "data_pipelines.pack.encoder_length=2",
            "data_pipelines.pack.encoder_length: 2 must be at least 8",
        ),
        ("dashboard.port=0", "dashboard.port: 0 must be at least 1"),
        ("models.runs={}", "models.runs: {} has no run; add one"),
        ("models.seeds=[-1]", "models.seeds.0: -1 must be at least 0"),
        ("models.seeds=[0, 1, 0]", "models.seeds.2: 0 is listed twice; remove one"),
        ("models.seeds=[]", "models.seeds: [] has no seed; write [0]"),
        ("models.seeds=1", "models.seeds: 1 must be a list; write [1]"),
        (
            "models.runs.moe_base.seeds=[0]",
            "models.runs.moe_base.seeds: unknown key; write models.seeds, which all runs share",
        ),
        (
            "models.runs.moe_base.seed=1",
            "models.runs.moe_base.seed: unknown key; it was removed: every run is trained with "
            "each seed of models.seeds",
        ),
        ("data_pipelines.mix.caps={muffin: 0}", "mix.caps.muffin: 0 must be at least 1"),
        (
            "data_pipelines.mix.shares={muffin: .nan, cot: 1}",
            "data_pipelines.mix.shares.muffin: .nan must be a finite number",
        ),
        ("data_pipelines.mix.shares={muffin: -1}", "mix.shares.muffin: -1 must be at least 0"),
        ("models.training=null", "models.training: null must be a mapping of keys to values"),
        (
            "data_pipelines.mix.num_examples=3000",
            "data_pipelines.validate.min_examples: 100 cannot be reached by cot: its share of "
            "data_pipelines.mix.num_examples, 3000, is 54",
        ),
        ("data_pipelines.fetch.sources=[cot/flan, cot/flan]", "'cot/flan' is listed twice"),
        (
            "data_pipelines.tokenizer.model_file=none.model",
            "data_pipelines.tokenizer.model_file: 'none.model' does not exist",
        ),
        (
            "registry.artifacts=s4://me:hidden@bucket/x",
            "registry.artifacts: s4://***@bucket/x is not a URL that fsspec opens",
        ),
        ("flows.max_parallel_stages=0", "flows.max_parallel_stages: 0 must be at least 1"),
    ],
)
def test_parse_params_mistake_names_key_value_and_what_is_allowed(assignment, expected):
    lines = error_lines(assignment)
    assert expected in "\n".join(lines)
    assert all(line.startswith("params.yaml: ") for line in lines)


def error_lines(*assignments):
    """Return the error lines of params.yaml after the assignments of `--set`."""
    data = apply_overrides(read_params(ROOT / "params.yaml"), assignments)
    with pytest.raises(InvalidParams) as caught:
        parse_params(data, "params.yaml", ROOT)
    return str(caught.value).splitlines()


def test_parse_params_number_as_text_is_a_number():
    data = apply_overrides(read_params(ROOT / "params.yaml"), ("models.training.optim.lr='1e-4'",))
    assert parse_params(data, "params.yaml", ROOT).models.training.optim.lr == 1e-4


def test_parse_params_several_unknown_keys_are_all_reported():
    assert len(error_lines("flows.a=1", "registry.b=1")) == 2


def test_parse_params_wrong_preset_is_reported_without_its_consequences():
    assert len(error_lines("models.runs.moe_base.preset=tiny_swich")) == 1


def test_parse_params_error_of_all_runs_is_reported_once():
    assert len(error_lines("models.training.processes_per_node=3")) == 1


@pytest.mark.parametrize("assignment", ["flows", "=1", ""])
def test_apply_overrides_without_key_and_value_is_rejected(assignment):
    with pytest.raises(InvalidParams, match="write it as path"):
        apply_overrides({}, (assignment,))


@pytest.mark.parametrize("value", ["[", "{a: 1", "'x"])
def test_apply_overrides_value_that_is_not_yaml_is_rejected(value):
    with pytest.raises(InvalidParams, match="the value is not YAML") as caught:
        apply_overrides({}, (f"a={value}",))
    assert "\n" not in str(caught.value)


def test_apply_overrides_below_a_value_is_rejected():
    with pytest.raises(InvalidParams, match="retries is a value, it has no keys"):
        apply_overrides({"flows": {"retries": 1}}, ("flows.retries.x=1",))


def test_apply_overrides_sets_yaml_values_at_any_depth():
    data = apply_overrides({"a": {"b": 1}}, ("a.c.d=[1, x]", "e=null"))
    assert data == {"a": {"b": 1, "c": {"d": [1, "x"]}}, "e": None}


@pytest.mark.parametrize(
    "text",
    ["a: 1\nb: 2\na: 3\n", "a: {x: 1, x: 2}", "a: &m {x: 1}\nb: {<<: *m, y: 1, y: 2}"],
)
def test_read_params_repeated_key_is_rejected(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InvalidParams, match=r"key '[axy]' is repeated") as caught:
        read_params(path)
    assert "\n" not in str(caught.value)


def test_read_params_merged_mapping_may_override_keys(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: {b: &b {x: 1, y: 1}, c: &c {<<: *b, y: 2}}\nd: {<<: *c, y: 3}\n")
    assert read_params(path)["d"] == {"x": 1, "y": 3}


def test_read_params_file_that_is_missing_or_no_mapping_is_rejected(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(InvalidParams, match="is missing"):
        read_params(path)
    for text, message in (("a: [1,", "is not YAML"), ("[1]", "must be a mapping")):
        path.write_text(text)
        with pytest.raises(InvalidParams, match=message):
            read_params(path)


OPTIMIZER = {"checkpoint": {"save_optimizer": True}}


@pytest.mark.parametrize(
    ("start", "own", "expected"),
    [
        ({}, {}, "run 'dense_base' does not write its optimizer state; set models.runs.dense_base"),
        (
            {"training": OPTIMIZER},
            {"training": {"optim": {"name": "adafactor"}}},
            "run 'dense_base' has the optimizer adamw, this one adafactor; they must be the same",
        ),
        (
            {"training": OPTIMIZER},
            {"preset": "tiny_gs"},
            "run 'dense_base' is of preset 'tiny_dense', this one of 'tiny_gs', whose weights",
        ),
        ({"training": OPTIMIZER}, {}, None),
    ],
)
def test_parse_params_start_optimizer_needs_a_state_that_fits(start, own, expected):
    data = read_params(ROOT / "params.yaml")
    runs = data["models"]["runs"]
    runs["dense_base"] |= start
    runs["dense_instruct"] |= {"start_optimizer": True, **own}
    if expected is None:
        parse_params(data, "params.yaml", ROOT)
        return
    with pytest.raises(InvalidParams, match=f"dense_instruct.start_optimizer: {expected}"):
        parse_params(data, "params.yaml", ROOT)
