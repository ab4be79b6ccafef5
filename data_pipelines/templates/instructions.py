"""Instruction templates for sources that bring none of their own: the YAML files beside this one.

A group of templates has forms, each a list of `inputs` and `targets` with `{fields}`. Which
template a row gets is decided by its hash, as in FLAN (arXiv 2301.13688, section 3): several
phrasings of each task, with and without options, and some asked the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from data_pipelines.example import stable_hash

FIELD = re.compile(r"\{([a-z_]+)\}")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Template:
    """One phrasing."""

    inputs: str
    targets: str

    def fill(self, **fields: str) -> tuple[str, str]:
        """Inputs and targets. A field's own braces are text, not fields."""
        return _fill(self.inputs, fields).strip(), _fill(self.targets, fields).strip()


def _fill(text: str, fields: Mapping[str, str]) -> str:
    return FIELD.sub(lambda match: fields[match[1]], text)


Group = Mapping[str, Sequence[Template]]


def group(name: str) -> Group:
    """Forms of a group, e.g. `forward` and `inverted` of `sentiment`. Raises KeyError."""
    return _groups()[name]


def names() -> tuple[str, ...]:
    """Every group there is."""
    return tuple(_groups())


@cache
def _groups() -> dict[str, dict[str, tuple[Template, ...]]]:
    found: dict[str, dict[str, tuple[Template, ...]]] = {}
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        for name, forms in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            found[name] = {
                form: tuple(Template(inputs, targets) for inputs, targets in pairs)
                for form, pairs in forms.items()
            }
    return found


def choose(group: Group, form: str, key: tuple[object, ...]) -> tuple[str, Template]:
    """The template of a row, and its name."""
    templates = group[form]
    number = stable_hash("template", form, *key) % len(templates)
    return f"{form}_{number}", templates[number]


def options_block(options: Sequence[str], key: tuple[object, ...]) -> str:
    """Answer options in one of FLAN's ways to list them, on lines of their own."""
    style = stable_hash("options style", *key) % 3
    if style == 0:
        return "\nOPTIONS:\n" + "\n".join(f"- {option}" for option in options)
    if style == 1:
        return "\nOptions: " + "; ".join(options)
    lettered = zip(LETTERS, options, strict=False)
    return "\nChoose from:\n" + "\n".join(f"({letter}) {option}" for letter, option in lettered)
