"""Generated pages agree with the code; all pages name existing commands, parameters and paths."""

import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import click
import pytest

from flows.cli import cli
from flows.commands.tables import versions_table
from tests.docs.markdown import PAGES, ROOT, code_spans

TOP_LEVEL = ("data_pipelines", "models", "registry", "dashboard", "flows", "benchmarks", "scripts",
             "tests", "docs")  # fmt: skip

SELF_EXPLANATORY = ("| `port`", "| `weight_decay`")
"""Keys that need no docstring."""


@pytest.fixture(scope="module")
def generator():
    loader = SourceFileLoader("generate_docs", str(ROOT / "scripts" / "generate_docs"))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["configuration.md", "cli.md", "renamed_parameters.md"])
def test_generated_page_equals_committed_page(generator, name):
    text = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert text == generator.PAGES[name](), f"docs/reference/{name}: run scripts/generate_docs"


def test_configuration_page_documents_every_parameter(generator):
    parameters = generator.configuration_page().split("## Model configuration")[0]
    for line in parameters.splitlines():
        cells = line.split(" | ")
        if line.startswith("| `") and len(cells) == 4 and cells[0] not in SELF_EXPLANATORY:
            assert cells[3].strip(" |"), f"no docstring under {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_inline_commands_exist(page):
    for span in code_spans(page):
        command = cli
        words = span.split()
        if not words or words[0] != "flanmoe":
            continue
        for word in words[1:]:
            if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z_]+", word):
                break
            assert word in command.commands, f"{page.name}: `{span}`"
            command = command.commands[word]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_inline_parameters_and_paths_exist(page, generator):
    if page.name == "renamed_parameters.md":
        return
    parameters = parameter_paths(generator.configuration_page())
    for span in code_spans(page):
        name = span.removeprefix("python -m ")
        if re.fullmatch(rf"({'|'.join(TOP_LEVEL)})(\.\w+)+", name):
            file = ROOT.joinpath(*name.split("."))
            is_module = file.is_dir() or file.with_suffix(".py").is_file()
            assert is_module or name in parameters or (ROOT / name).is_file(), (
                f"{page.name}: `{span}`"
            )
        elif re.fullmatch(rf"({'|'.join(TOP_LEVEL)})/[\w./]+", name):
            assert (ROOT / name).exists(), f"{page.name}: `{span}`"


def parameter_paths(configuration):
    """Return the path of every section and key of the configuration page, and their prefixes."""
    paths, section = set(), ""
    for line in configuration.splitlines():
        if heading := re.match(r"## `([\w.]+)`", line):
            section = heading[1]
            parts = section.split(".")
            paths |= {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
        elif row := re.match(r"\| `(\w+)` \|", line):
            paths.add(f"{section}.{row[1]}")
    return paths


def test_concepts_are_unique_and_in_alphabetical_order():
    text = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    terms = re.findall(r"^## (.+)$", text, re.MULTILINE)
    keys = [re.sub(r"\W", " ", term).casefold() for term in terms]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_readme_links_lead_to_files():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_readme_table_has_the_columns_of_the_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    header = next(line for line in text.splitlines() if line.startswith("version  model"))
    assert header.split() == " ".join(str(c.header) for c in versions_table([]).columns).split()
