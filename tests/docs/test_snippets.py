"""YAML and shell blocks of the documentation are valid."""

import re
import shlex

import click
import pytest
import yaml

from flows.cli import cli
from flows.config.load import parse_params, read_params
from models.architecture.t5 import T5
from models.presets import preset
from models.weights import save_weights
from tests.docs.markdown import ROOT, blocks

PARAMS_FILES = ("params.yaml", "params.real.yaml", "params.regimes.yaml", "params.imported.yaml")
EXTERNAL = ("dvc", "prefect", "kubectl", "source", "pre-commit")
"""External programs, whose options are not checked."""


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_block_parses(block):
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", [b for b in blocks("yaml") if b.title in PARAMS_FILES], ids=str)
def test_params_block_is_valid_in_its_file(block, tmp_path):
    data = merged(read_params(ROOT / block.title), yaml.safe_load(block.text))
    # Weights that a reader imports before such a run.
    (tmp_path / "runs" / "t5_small" / "weights").mkdir(parents=True)
    save_weights(tmp_path / "runs" / "hf_model" / "weights", T5(preset("tiny_dense")), "")
    parse_params(data, str(block), tmp_path)


def merged(base, changes):
    """Return `base` with the values of `changes`, mappings key by key."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def shell_lines():
    for block in blocks("sh", "bash", "shell"):
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield pytest.param(words, id=f"{block}: {line.split('#')[0].strip()}")


@pytest.mark.parametrize("words", shell_lines())
def test_shell_line_calls_commands_that_exist(words):
    for command in split_pipeline(words):
        check_command(command)


def split_pipeline(words):
    """Yield the commands of a line that `|`, `;` or `&&` join, without redirections."""
    command = []
    for word in words:
        if word in ("|", ";", "&&"):
            yield command
            command = []
        elif word in (">", "<"):
            break
        else:
            command.append(word)
    yield command


def check_command(words):
    program, *arguments = words
    if program in ("flanmoe", ".venv/bin/flanmoe"):
        check_flanmoe(arguments)
    elif program == "make":
        makefile = (ROOT / "Makefile").read_text()
        for target in arguments:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    elif program.startswith("scripts/"):
        text = (ROOT / program).read_text()
        for option in arguments:
            assert not option.startswith("--") or option in text, f"{program} {option}"
    else:
        assert program in EXTERNAL, program


def check_flanmoe(arguments):
    """Parse the arguments as click would, without calling the command or looking at files."""
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name, *arguments = arguments
        assert name in command.commands, f"no command {name!r}"
        command = command.commands[name]
        context = click.Context(command, parent=context, info_name=name)
    values, extra, _ = command.make_parser(context).parse_args(list(arguments))
    assert not extra, f"unexpected arguments {extra}"
    for parameter in command.params:
        value = values.get(parameter.name)
        is_missing = parameter.value_is_missing(value)
        assert not (is_missing and parameter.required), f"missing {parameter.name}"
        if not is_missing and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)


def test_checker_rejects_unknown_commands_and_options():
    for arguments in (["trane", "x"], ["run", "--parms", "x"], ["compare", "a"]):
        with pytest.raises((AssertionError, click.UsageError)):
            check_flanmoe(arguments)
