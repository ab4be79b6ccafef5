"""`flanmoe data seen` and `flanmoe data diff` on the outputs of the data stages alone."""

import json

import pytest

from tests.data_pipelines.factories import DataPipeline
from tests.factories import ROOT, error_line, invoke
from tests.registry.factories import run_record


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with data, an instruction-tuned run, its base, and a run on imported weights.

    The base has two seeds, the others one.
    """
    folder = tmp_path_factory.mktemp("workspace")
    pipeline = DataPipeline(folder).run()
    versions = {
        corpus: pipeline.read_json(f"packed/{corpus}/manifest.json")["version"]
        for corpus in ("train", "prefix_lm")
    }
    params = {"training": {"global_batch_size": 4}}
    runs = {
        "base": {"start": "scratch", "data": "prefix_lm"},
        "instruct": {"start": "base", "data": "train"},
        "imported": {"start": "flan_t5", "data": "train"},
    }
    for name, values in runs.items():
        record = run_record(name, params=params, data_version=versions[values["data"]], **values)
        seeds = (0, 1) if name == "base" else (1,)
        for seed in seeds:
            result = folder / "runs" / name / f"seed_{seed}"
            result.mkdir(parents=True)
            (result / "run.json").write_text(json.dumps(record | {"seed": seed}))
    return folder


def seen(workspace, *words):
    return invoke("data", "seen", *words, "--workspace", workspace, cwd=ROOT)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [("3", {3}), ("3:4", {3, 4}), ("9:", {9, 10}), (":2", {1, 2})],
)
def test_seen_steps_lists_both_ends(workspace, steps, expected):
    listing = json.loads(seen(workspace, "instruct", "--steps", steps, "--json").stdout)
    assert {example["step"] for example in listing["examples"]} == expected
    assert listing["steps"] == [min(expected), max(expected)]


def test_seen_steps_prints_the_same_rows_as_a_table(workspace):
    listing = json.loads(seen(workspace, "instruct", "--steps", "1:2", "--json").stdout)
    lines = seen(workspace, "instruct", "--steps", "1:2").stdout.splitlines()
    assert lines[0].startswith(
        f"instruct-1, steps 1 to 2 of 10: {len(listing['examples'])} examples in 8 rows of "
        "data/packed/train, version "
    )
    for line, example in zip(lines[2:], listing["examples"], strict=True):
        for name in ("uid", "source_file", "source_row", "mixture", "task"):
            assert str(example[name]) in line


def test_seen_item_answers_for_the_runs_that_a_run_starts_from(workspace):
    text = json.loads(seen(workspace, "base-1", "--steps", "4", "--json").stdout)["examples"][0]
    answer = json.loads(seen(workspace, "instruct", "--item", text["uid"], "--json").stdout)
    assert [(run["run"], run["in_corpus"]) for run in answer["runs"]] == [
        ("instruct-1", False),
        ("base-1", True),
    ]
    assert text in answer["runs"][1]["reads"]
    lines = seen(workspace, "instruct", "--item", text["uid"]).stdout.splitlines()
    assert lines[0] == f"instruct-1: {text['uid']} is not in its corpus, data/packed/train"
    assert lines[1].startswith("base-1: ")


def test_seen_item_names_imported_weights_whose_data_is_unknown(workspace):
    shown = seen(workspace, "imported", "--item", "none").stdout
    assert shown.splitlines()[-1] == "flan_t5: its run record is missing, so its data is unknown"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["instuct", "--steps", "1"], "did you mean 'instruct'? finished runs are base, imported"),
        (["base", "--steps", "1"], "base: it has 2 seeds; name one of them: base-0, base-1"),
        (["base-2", "--steps", "1"], "base-2: it is no run of"),
        (["instruct", "--steps", "8:11"], "8:11 is not a range of steps of the run; its steps"),
    ],
)
def test_seen_of_a_wrong_run_or_step_prints_an_error(workspace, words, message):
    assert message in error_line(seen(workspace, *words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either --steps or --item"),
        (["--steps", "1", "--item", "x"], "give either --steps or --item"),
        (["--steps", "a:b"], "'a:b' is not a range of steps A:B, such as 1:20"),
        (["--steps", ":"], "':' is not a range of steps A:B, such as 1:20"),
    ],
)
def test_seen_with_wrong_options_prints_the_usage(workspace, words, message):
    result = seen(workspace, "instruct", *words)
    assert result.returncode == 2
    assert message in result.stderr


def test_seen_of_changed_data_prints_an_error(workspace, tmp_path):
    record = json.loads((workspace / "runs/instruct/seed_1/run.json").read_text())
    folder = tmp_path / "runs/instruct/seed_1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record | {"data_version": "0" * 16}))
    (tmp_path / "data").symlink_to(workspace / "data")
    line = error_line(seen(tmp_path, "instruct", "--steps", "1"))
    assert f"is not {'0' * 16}, which the run trained on: the packed data has changed" in line


def test_diff_of_equal_folders_shows_shares_and_no_difference(workspace):
    result = invoke("data", "diff", workspace, workspace / "data", cwd=ROOT)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "sources: the same"
    assert [line.split()[0] for line in lines[2:7]] == ["cot", "muffin", "niv2", "t0_sf", "text"]
    assert all(line.split()[3:6] == ["0", "0", "0"] for line in lines[2:7])
    assert lines[8].startswith("tokenizer: the same (500 tokens, ")


def test_diff_of_an_unknown_version_prints_an_error(workspace):
    line = error_line(invoke("data", "diff", "no-such-revision", workspace, cwd=ROOT))
    assert "no-such-revision: it is neither a folder nor a git revision of" in line
