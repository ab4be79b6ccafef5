"""policy.yaml: valid files, sections of models, and every kind of invalid file."""

import dataclasses

import pytest
import yaml

from registry.errors import InvalidPolicy
from registry.policy import Policy
from registry.policy_file import MAX_BYTES, load_policy
from tests.factories import ROOT


@pytest.fixture
def load(tmp_path):
    def write_and_load(content):
        path = tmp_path / "policy.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_policy(path)

    return write_and_load


def test_missing_file_is_the_built_in_defaults(tmp_path):
    policy = load_policy(tmp_path / "policy.yaml")
    assert not policy.exists
    assert policy.for_model("any") == Policy()
    assert policy.describe() == f"built-in defaults ({tmp_path / 'policy.yaml'} does not exist)"


def test_empty_mapping_is_the_built_in_defaults(load, tmp_path):
    policy = load("{}")
    assert policy.exists
    assert policy.for_model("any") == Policy()
    assert policy.describe() == str(tmp_path / "policy.yaml")


def test_file_of_the_project_states_the_built_in_defaults():
    policy = load_policy(ROOT / "policy.yaml")
    assert policy.default == Policy()
    assert policy.for_model("flan-real").evaluation.allow_partial


def test_values_are_read_and_the_others_are_defaults(load):
    policy = load("data: {max_contaminated_share: 1e-3, allowed_licences: [open]}").default
    assert policy.data.max_contaminated_share == 0.001
    assert policy.data.allowed_licences == ("open",)
    assert policy.data.min_self_test_recall == Policy().data.min_self_test_recall
    assert policy.evaluation == Policy().evaluation


def test_section_of_a_model_replaces_single_values(load):
    policy = load(
        "evaluation: {min_items: 500, allow_partial: true}\n"
        "models: {small: {evaluation: {min_items: 50}}, other: {}}"
    )
    assert policy.for_model("small").evaluation.min_items == 50
    assert policy.for_model("small").evaluation.allow_partial
    assert policy.for_model("other") == policy.default == policy.for_model("third")


def test_sha256_depends_on_the_values_only(load):
    digest = load("{}").default.sha256
    spelled = load("comparison: {alpha: 0.05, margin: 1e-2}\nbudgets: {flops_per_token: null}")
    assert spelled.default.sha256 == digest
    assert load("code: {require_commit: true}").default.sha256 == digest
    assert load("code: {require_commit: false}").default.sha256 != digest
    assert len(digest) == 64


def all_fields(schema=Policy, path=()):
    """Yield the path of every value of a policy."""
    for field in dataclasses.fields(schema):
        child = getattr(schema(), field.name)
        if dataclasses.is_dataclass(child):
            yield from all_fields(type(child), (*path, field.name))
        else:
            yield (*path, field.name)


@pytest.mark.parametrize("path", list(all_fields()), ids=".".join)
@pytest.mark.parametrize(
    "value",
    [float("nan"), -1, "text", [[]], 10**400],
    ids=["nan", "negative", "text", "nested", "huge"],
)
def test_every_value_rejects_hostile_values(load, path, value):
    section, key = path
    with pytest.raises(InvalidPolicy) as error:
        load(yaml.safe_dump({section: {key: value}}))
    assert f"policy.yaml: {section}.{key}" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; write {} for the defaults, or delete the file"),
        ("# nothing\n", "is empty"),
        ("[1]", "must be a mapping of keys to values"),
        ("text", "must be a mapping of keys to values"),
        ("dta: {}", "dta: unknown key; did you mean 'data'? allowed: promoters, data,"),
        (
            "data: {max_contaminated_shar: 0.1}",
            "data.max_contaminated_shar: unknown key; did you mean 'max_contaminated_share'?",
        ),
        ("gates: {}", "gates: unknown key; allowed:"),
        ("1: {}", "1: unknown key"),
        ("data: {1: 2}", "data.1: unknown key"),
        ("data:", "data: null must be a mapping of keys to values; write {} for the defaults"),
        ("data: [1]", "data: [1] must be a mapping"),
        ("data: {max_contaminated_share: true}", "share: true must be a finite number"),
        ("data: {max_contaminated_share: .inf}", "share: inf must be a finite number"),
        ("data: {max_contaminated_share: 1.01}", "share: 1.01 must be at most 1"),
        ("comparison: {alpha: 0}", "comparison.alpha: 0 must be above 0"),
        ("comparison: {alpha: 1}", "comparison.alpha: 1 must be below 1"),
        ("evaluation: {min_items: 1.5}", "min_items: 1.5 must be a whole number"),
        ("evaluation: {min_items: true}", "min_items: true must be a whole number"),
        ("evaluation: {min_items: 1e99}", "min_items: '1e99' must be a whole number"),
        ("evaluation: {min_items: 4294967296}", "4294967296 must be at most 2147483647"),
        ("code: {require_commit: 1}", "code.require_commit: 1 must be true or false"),
        ("code: {require_commit: 'no'}", "'no' must be true or false"),
        ("data: {allowed_licences: open}", "allowed_licences: 'open' must be a list"),
        (
            "data: {allowed_licences: [closed]}",
            "allowed_licences.0: 'closed' is not one of open, share-alike, non-commercial or "
            "unstated",
        ),
        ("promoters: {people: [a, a]}", "promoters.people: ['a', 'a'] has a repeated entry"),
        ("promoters: {people: ['']}", "promoters.people.0: '' is empty"),
        ("promoters: {people: [1]}", "promoters.people.0: 1 must be text"),
        ('promoters: {people: ["a\\nb"]}', "must not contain control characters"),
        ("comparison: {max_suite_loss_by_suite: {mmlu: 2}}", "by_suite.mmlu: 2 must be at most 1"),
        ("comparison: {max_suite_loss_by_suite: {1: 0.1}}", "by_suite.1: 1 must be text"),
        ("models: [1]", "models: [1] must be a mapping of model names to sections"),
        ("models: {m: null}", "models.m: null must be a mapping"),
        ("models: {1: {}}", "models.1: {} must be a mapping"),
        ("models: {m: {models: {}}}", "models.m.models: unknown key"),
        ("models: {m: {data: {min_items: 1}}}", "models.m.data.min_items: unknown key"),
        ("models: {m: {comparison: {alpha: 2}}}", "models.m.comparison.alpha: 2 must be below 1"),
        ("data: {}\ndata: {}", "key 'data' is repeated"),
        ("a: &a [1]\nb: [*a, *a]", "aliases are not supported"),
        ("data: &d {}\nmodels: {m: {<<: *d}}", "aliases are not supported"),
        ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("[" * 3000, "too deeply nested"),
        ("data: {", "is not YAML"),
        ("a: 2020-99-99", "is not YAML"),
        ("? [a]\n: 1", "is not YAML"),
        (b"\xff\xfed\x00", "is not UTF-8 text"),
        (b"a: \x00", "is not YAML"),
        (b"a" * (MAX_BYTES + 1), "is larger than 1,000,000 bytes"),
    ],
)
def test_invalid_file_is_a_single_line(load, content, message):
    with pytest.raises(InvalidPolicy) as error:
        load(content)
    assert message in str(error.value)
    assert "policy.yaml: " in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_each_error_has_a_line(load):
    with pytest.raises(InvalidPolicy) as error:
        load("comparison: {alpha: 2, margin: 0}\nmodels: {m: {code: {x: 1}}}")
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "comparison.margin", "comparison.alpha", "models.m.code.x",
    ]  # fmt: skip


def test_unreadable_path_is_an_error(tmp_path):
    with pytest.raises(InvalidPolicy, match=r"cannot be read: Is a directory"):
        load_policy(tmp_path)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InvalidPolicy, match=r"cannot be read: Not a directory"):
        load_policy(file / "policy.yaml")
