"""Names of earlier releases in params.yaml, `--set` and the environment."""

import pytest

from flows.config.load import apply_overrides, load_params, parse_params, read_params
from flows.config.renamed_keys import RENAMED, RENAMED_VARIABLES, check_environment, new_name
from flows.config.schema import Params
from flows.errors import InvalidParams, RenamedVariable
from tests.factories import ROOT, invoke


def has_field(path):
    """Return whether a dotted key is a field of the schema."""
    from flows.config.keys import unknown_keys

    data = None
    for part in reversed(path.split(".")):
        data = {part: data}
    return not unknown_keys(data, Params, "")


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_renamed_key_new_name_exists_and_old_name_does_not(old, new):
    assert has_field(new)
    assert not has_field(old)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_parse_params_old_key_names_the_new_key(old, new):
    data = apply_overrides(read_params(ROOT / "params.yaml"), (f"{old}=1",))
    with pytest.raises(InvalidParams) as caught:
        parse_params(data, "params.yaml", ROOT)
    assert str(caught.value) == f"params.yaml: {old}: unknown key; renamed to {new!r}"


def test_parse_params_old_key_of_a_run_names_the_new_key_of_that_run():
    assert new_name("models.runs.a.training.batch_rows") == (
        "models.runs.a.training.global_batch_size"
    )
    data = apply_overrides(
        read_params(ROOT / "params.yaml"), ("models.runs.moe_base.training={optim: {clip: 1}}",)
    )
    with pytest.raises(InvalidParams) as caught:
        parse_params(data, "params.yaml", ROOT)
    assert str(caught.value) == (
        "params.yaml: models.runs.moe_base.training.optim.clip: unknown key; renamed to "
        "'models.runs.moe_base.training.optim.max_grad_norm'"
    )


def test_load_params_file_with_old_keys_names_each_new_key(tmp_path):
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text().replace("global_batch_size", "batch_rows")
    path.write_text(text.replace("max_parallel_stages", "parallel"))
    with pytest.raises(InvalidParams) as caught:
        load_params(path)
    assert str(caught.value).splitlines() == [
        "params.yaml: models.training.batch_rows: unknown key; renamed to "
        "'models.training.global_batch_size'",
        "params.yaml: flows.parallel: unknown key; renamed to 'flows.max_parallel_stages'",
    ]


def test_parse_params_gates_of_earlier_releases_name_the_policy():
    data = apply_overrides(read_params(ROOT / "params.yaml"), ("registry.gates.min_items=9",))
    with pytest.raises(InvalidParams) as caught:
        parse_params(data, "params.yaml", ROOT)
    assert str(caught.value) == (
        "params.yaml: registry.gates: unknown key; it was removed: the promotion gates moved to "
        "the project's policy.yaml, which docs/registry.md explains"
    )


def test_run_set_old_key_fails_with_the_new_name(tmp_path):
    result = invoke(
        "run", "--set", "flows.parallel=1", "--workspace", tmp_path / "workspace", cwd=ROOT
    )
    assert result.returncode == 1
    assert result.stderr == (
        "error: params.yaml: flows.parallel: unknown key; renamed to 'flows.max_parallel_stages'\n"
    )
    assert not (tmp_path / "workspace").exists()


@pytest.mark.parametrize(("old", "new"), RENAMED_VARIABLES.items())
def test_command_with_old_environment_variable_fails_with_the_new_name(old, new):
    with pytest.raises(RenamedVariable, match=new):
        check_environment({old: "x"})
    check_environment({new: "x"})
    result = invoke("check", cwd=ROOT, **{old: "x"})
    assert result.returncode == 1
    assert result.stderr == (f"error: environment variable {old} is set; it was renamed to {new}\n")
