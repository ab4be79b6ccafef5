"""Conflicts between data parameters, catalog, suites, and the data and tokenizers of runs."""

import json
from pathlib import Path

import pytest
import yaml

from data_pipelines.files import sha256
from flows.config.data_checks import data_errors
from flows.config.load import apply_overrides, parse_params, read_params
from flows.config.schema import Params
from flows.errors import InvalidParams

ROOT = Path(__file__).parents[3]
TRAINS = "models.runs={a: {preset: tiny_dense, start: scratch, steps: 5}}"
EVALUATES = "models.runs={a: {preset: tiny_dense, start: imported, steps: 0}}"
NO_SAMPLE = "data_pipelines.fetch.sample=null"
MMLU = "data_pipelines.fetch.sources=[eval_data/mmlu*, exemplars/*]"
COT = "data_pipelines.fetch.sources=[cot/flan, eval_data/mmlu*, exemplars/*]"
SUITE = "models.evaluation.suites=[mmlu_direct]"


def error_lines(*assignments, root=ROOT):
    """Return the error lines of params.yaml after the assignments; none if it is valid."""
    data = apply_overrides(read_params(ROOT / "params.yaml"), assignments)
    try:
        parse_params(data, "params.yaml", root)
    except InvalidParams as error:
        return str(error).splitlines()
    return []


@pytest.fixture
def imported_project(tmp_path):
    """Return a project with imported weights and their tokenizer."""
    folder = tmp_path / "runs" / "imported" / "weights"
    folder.mkdir(parents=True)
    (folder / "spiece.model").write_bytes(b"pieces of the checkpoint")
    description = {"tokenizer_sha256": sha256(folder / "spiece.model")}
    (folder / "config.json").write_text(json.dumps(description))
    (tmp_path / "other.model").write_bytes(b"other pieces")
    return tmp_path


def test_training_without_a_training_source_is_an_error():
    (line,) = error_lines(NO_SAMPLE, MMLU, TRAINS, SUITE)
    assert "data_pipelines.fetch.sources: no source of a training mixture" in line
    assert "run a trains" in line


def test_evaluation_of_imported_weights_needs_no_training_source(imported_project):
    assert error_lines(NO_SAMPLE, MMLU, EVALUATES, SUITE, root=imported_project) == []


LONG_ROWS = "data_pipelines.pack={encoder_length: 512, decoder_length: 128}"


def test_span_corruption_with_fewer_sentinels_than_spans_is_an_error():
    run = "models.runs={a: {preset: tiny_dense, start: scratch, data: span_corruption}}"
    (line,) = error_lines(LONG_ROWS, run)
    assert line.startswith(
        "params.yaml: data_pipelines.tokenizer.num_sentinels: 16 is too few for span corruption of "
        "pieces of 568 tokens, which have up to 28 spans; it suffices for pieces of 329 tokens; set"
    )
    assert error_lines(LONG_ROWS, run, "data_pipelines.tokenizer.num_sentinels=28") == []


def test_prefix_lm_with_few_sentinels_is_valid():
    run = "models.runs={a: {preset: tiny_dense, start: scratch, data: prefix_lm}}"
    assert error_lines(LONG_ROWS, run) == []


@pytest.mark.parametrize("corpus", ["span_corruption", "prefix_lm"])
def test_pretraining_without_text_is_an_error(corpus):
    run = f"models.runs={{a: {{preset: tiny_dense, start: scratch, data: {corpus}}}}}"
    lines = error_lines(NO_SAMPLE, COT, run, SUITE)
    assert any(f"models.runs.a.data: {corpus} needs text, but no source" in x for x in lines)


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        (
            "data_pipelines.mix.text=examples",
            "data_pipelines.mix.text: examples leaves out the tex",
        ),
        (
            "data_pipelines.fetch.sample.facts_bits_per_parameter=10",
            "data_pipelines.fetch.sample.facts_bits_per_parameter: 10.0 needs",
        ),
    ],
)
def test_facts_of_the_sample_that_no_text_or_name_serves_are_an_error(assignment, expected):
    assert any(expected in line for line in error_lines(assignment))


def test_suite_whose_source_the_licences_exclude_is_an_error():
    lines = error_lines(NO_SAMPLE, COT, TRAINS, SUITE, "data_pipelines.fetch.licences=[open]")
    assert any("its licences exclude" in line for line in lines)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ("{cot: 1}", []),
        ("{cot: 1, niv2: 0}", []),
        ("{muffin: 46.0, t0_sf: 27.9, niv2: 24.2, cot: 1.8}", []),  # the default
        ("{cot: 1, niv2: 1}", ["data_pipelines.mix.shares.niv2: 1.0 is the share of a mixture"]),
        ("{niv2: 1}", ["data_pipelines.mix.shares.niv2: 1.0 is the share of a mixture"]),
    ],
)
def test_share_of_a_mixture_without_a_source_is_an_error(shares, expected):
    lines = error_lines(NO_SAMPLE, COT, TRAINS, SUITE, f"data_pipelines.mix.shares={shares}")
    assert len(lines) == len(expected)
    assert all(text in line for text, line in zip(expected, lines, strict=True))


def test_min_examples_counts_only_mixtures_with_a_source_and_a_share():
    # With CoT alone its share is 1, so all 3,000 examples are its own.
    few = "data_pipelines.mix.num_examples=3000"
    most = "data_pipelines.validate.min_examples=3000"
    assert error_lines(NO_SAMPLE, COT, TRAINS, SUITE, few, most) == []
    (line,) = error_lines(NO_SAMPLE, COT, TRAINS, SUITE, few, most.replace("3000", "3001"))
    assert "3001 cannot be reached by cot" in line


@pytest.mark.parametrize("steps", [0, 5])
def test_tokenizer_of_imported_weights_must_be_that_of_the_data(imported_project, steps):
    run = f"models.runs={{a: {{preset: tiny_dense, start: imported, steps: {steps}}}}}"
    key = "data_pipelines.tokenizer.model_file"
    own = f"{key}=runs/imported/weights/spiece.model"
    assert error_lines(run, own, root=imported_project) == []
    for other, problem in (("", "trains a new tokenizer"), ("other.model", "is not the tokenizer")):
        lines = error_lines(run, f"{key}='{other}'", root=imported_project)
        assert len(lines) == (1 if steps else 0)
        for line in lines:
            assert f"{key}: {other!r} {problem}" in line
            assert "set it to runs/imported/weights/spiece.model" in line


def test_sections_that_dvc_yaml_names_are_required():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    names = {
        name
        for stage in stages
        for name in stage.get("params", stage.get("do", {}).get("params", ()))
        if isinstance(name, str) and "$" not in name
    }
    assert len(names) >= 9
    for name in names:
        data = read_params(ROOT / "params.yaml")
        section, key = name.split(".")
        del data[section][key]
        with pytest.raises(InvalidParams, match=f"{name}: is missing"):
            parse_params(data, "params.yaml", ROOT)
        data[section][key] = {}
        if key not in ("fetch", "runs", "seeds"):
            parse_params(data, "params.yaml", ROOT)


def test_data_errors_of_the_projects_own_params_are_none():
    # params.imported.yaml needs a checkpoint of the user.
    for path in sorted(set(ROOT.glob("params*.yaml")) - {ROOT / "params.imported.yaml"}):
        params = parse_params(read_params(path), path.name, ROOT)
        assert isinstance(params, Params)
        assert data_errors(params, ROOT) == []
