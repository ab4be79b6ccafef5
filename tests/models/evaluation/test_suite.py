"""Suite files, against the harness's own task lists."""

import re
from pathlib import Path

import lm_eval.tasks
import pytest
import yaml

from models.errors import UnknownSuite
from models.evaluation import suite as suite_module
from models.evaluation.suite import RENAMED_FIELDS, load_suite, suite_names

HARNESS_TASKS = Path(lm_eval.tasks.__file__).parent


def test_normalized_average_has_the_four_suites_of_the_paper():
    averaged = {name for name in suite_names() if load_suite(name).in_normalized_average}
    assert averaged == {"mmlu_direct", "bbh_direct", "reasoning_cot", "qa_direct"}


@pytest.mark.parametrize("name", ["mmlu_direct", "mmlu_cot", "mmlu_hendrycks"])
def test_mmlu_suites_have_the_harness_subjects_and_categories(name):
    group_by_task = {task.file: task.group for task in load_suite(name).listed_tasks()}
    harness_tags = {}
    for file in (HARNESS_TASKS / "mmlu/default").glob("mmlu_*.yaml"):
        config = yaml.safe_load(re.sub(r"!function \S+", "", file.read_text()))
        harness_tags[file.stem.removeprefix("mmlu_")] = config["tag"]
    assert len(group_by_task) == 57
    assert set(group_by_task) == set(harness_tags)
    different = {
        task
        for task, group in group_by_task.items()
        if f"mmlu_{group.lower().replace(' ', '_')}_tasks" != harness_tags[task]
    }
    # The authors' own list counts anatomy as health, under "other".
    assert different == {"anatomy"}


@pytest.mark.parametrize("name", ["bbh_direct", "bbh_cot", "bbh_generated"])
def test_bbh_suites_have_27_files_in_23_averaging_units(name):
    suite = load_suite(name)
    files = [task.file for task in suite.listed_tasks()]
    assert set(files) == {p.stem for p in (HARNESS_TASKS / "bbh/fewshot").glob("[a-z]*.yaml")}
    assert len(files) == 27
    assert len({suite.averaging_unit(f"{name}/{file}") for file in files}) == 23


def test_every_suite_names_its_protocol_and_source():
    for name in suite_names():
        protocol = load_suite(name).protocol
        assert protocol.follows
        assert protocol.source
        assert all(difference.endswith(".") for difference in protocol.differences), name


def test_training_split_gives_exemplars_and_is_never_scored():
    for name in suite_names():
        suite = load_suite(name)
        assert "train" not in {split for splits in suite.splits.values() for split in splits}
        files = {task.file.casefold() for task in suite.listed_tasks()}
        assert not [file for file in files if "train" in file]
    assert load_suite("reasoning_cot").exemplars["strategyqa"] == "strategyqa/train"


def test_load_suite_with_a_base_has_the_fields_that_it_does_not_set(write_suite, tmp_path):
    write_suite(yaml.safe_dump(VALID | {"max_new_tokens": 7}))
    variant = tmp_path / "variant.yaml"
    variant.write_text("base: custom\ntitle: y\n")
    suite = load_suite("variant")
    assert (suite.name, suite.title, suite.max_new_tokens) == ("variant", "y", 7)
    (tmp_path / "third.yaml").write_text("base: variant\n")
    with pytest.raises(UnknownSuite, match="base: 'variant' has a base itself; name 'custom'"):
        load_suite("third")


def test_load_suite_with_an_unknown_name_suggests_the_closest():
    with pytest.raises(UnknownSuite, match="unknown suite 'mmlu_dirct'; did you mean 'mmlu_direct"):
        load_suite("mmlu_dirct")


@pytest.fixture
def write_suite(tmp_path, monkeypatch):
    """Write the text of the suite `custom` and make it loadable."""
    monkeypatch.setattr(suite_module, "FOLDER", tmp_path)
    return (tmp_path / "custom.yaml").write_text


VALID = {
    "title": "x", "protocol": {"follows": "a", "source": "b"}, "answer_mode": "direct",
    "prompt_template": "a", "tasks": {"a": ["b"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (yaml.safe_dump(VALID | {"answer_mode": "guess"}), r"custom\.yaml: answer_mode: "),
        (yaml.safe_dump(VALID | {"num_fewshots": 1}), "did you mean 'num_fewshot'"),
        (yaml.safe_dump(VALID | {"num_fewshot": 1}), "num_fewshot needs exemplars for every data"),
        (yaml.safe_dump(VALID | {"averaging_units": {"u": ["c"]}}), "'c' is not among tasks"),
        (
            yaml.safe_dump(VALID | {"tasks": {"a": "best split"}}),
            "splits needs a list for every dat",
        ),
        (
            yaml.safe_dump(VALID | {"splits": {"a": ["test"]}}),
            "splits needs a list for every datas",
        ),
        (yaml.safe_dump(VALID | {"protocol": {"follows": "a"}}), r"protocol\.source: "),
        (yaml.safe_dump(VALID | {"base": "custom"}), "base: 'custom' is not a suite"),
        (yaml.safe_dump(VALID | {"base": "other"}), "base: 'other' is not a suite"),
        ("title: [", "is not a suite"),
        ("- title", "is not a suite; expected a mapping"),
        ("title: x", "protocol: Field required"),
    ],
)
def test_load_suite_from_an_invalid_file_names_the_problem(write_suite, text, message):
    write_suite(text)
    with pytest.raises(UnknownSuite, match=message):
        load_suite("custom")


@pytest.mark.parametrize(("old_name", "new_name"), RENAMED_FIELDS.items())
def test_load_suite_with_a_renamed_field_names_the_new_name(write_suite, old_name, new_name):
    write_suite(yaml.safe_dump(VALID | {old_name: "x"}))
    message = rf"custom\.yaml: unknown field '{old_name}'; renamed to '{new_name}'$"
    with pytest.raises(UnknownSuite, match=message):
        load_suite("custom")


def test_renamed_fields_are_fields_of_a_suite():
    fields = {field.name for field in suite_module.dataclasses.fields(suite_module.Suite)}
    assert set(RENAMED_FIELDS.values()) <= fields
    assert not set(RENAMED_FIELDS) & fields
