"""Instruction templates for sources that have none, read from the YAML files in this folder.

A group of templates has forms; each form is a list of pairs of `inputs` and `targets` with
`{fields}`. A hash of the row's key selects its template. As in FLAN (arXiv 2301.13688, section 3)
each task has several phrasings, with and without answer options, and inverted forms whose target is
part of the usual input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from data_pipelines.example import stable_hash

# Full file names: the digest of this module's code includes the data files that it names.
FILES = ("cot.yaml", "muffin.yaml", "niv2.yaml")
FIELD = re.compile(r"\{([a-z_]+)\}")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Template:
    """One phrasing of a task."""

    inputs: str
    targets: str

    def fill(self, **fields: str) -> tuple[str, str]:
        """Return inputs and targets; braces within the value of a field are not expanded.

        Raises:
            KeyError: The template refers to a missing field.
        """
        return _fill(self.inputs, fields).strip(), _fill(self.targets, fields).strip()


def _fill(text: str, fields: Mapping[str, str]) -> str:
    return FIELD.sub(lambda match: fields[match[1]], text)


TemplateGroup = Mapping[str, Sequence[Template]]
"""Form, e.g. `forward` or `inverted` -> its templates."""


def template_group(name: str) -> TemplateGroup:
    """Return the templates of a group, e.g. `sentiment`, by form.

    Raises:
        KeyError: The group does not exist.
    """
    return _load_groups()[name]


def group_names() -> tuple[str, ...]:
    """Return the names of all groups."""
    return tuple(_load_groups())


@cache
def _load_groups() -> dict[str, dict[str, tuple[Template, ...]]]:
    groups: dict[str, dict[str, tuple[Template, ...]]] = {}
    for name in FILES:
        content = yaml.safe_load(Path(__file__).with_name(name).read_text(encoding="utf-8"))
        for group, forms in content.items():
            groups[group] = {
                form: tuple(Template(inputs, targets) for inputs, targets in pairs)
                for form, pairs in forms.items()
            }
    return groups


def choose_template(
    group: TemplateGroup, form: str, key: tuple[object, ...]
) -> tuple[str, Template]:
    """Return the name and the template that the hash of a row's key selects.

    Args:
        group: templates by form.
        form: form of the group, e.g. `forward`.
        key: values that identify the row, seed included.
    """
    templates = group[form]
    number = stable_hash("template", form, *key) % len(templates)
    return f"{form}_{number}", templates[number]


def format_options(options: Sequence[str], key: tuple[object, ...]) -> str:
    """Format answer options in one of three styles of FLAN, starting with a line break.

    Args:
        options: the answer options.
        key: values that identify the row, seed included; their hash selects the style.
    """
    style = stable_hash("options style", *key) % 3
    if style == 0:
        return "\nOPTIONS:\n" + "\n".join(f"- {option}" for option in options)
    if style == 1:
        return "\nOptions: " + "; ".join(options)
    lettered = zip(LETTERS, options, strict=False)
    return "\nChoose from:\n" + "\n".join(f"({letter}) {option}" for letter, option in lettered)
