"""promptsource's template files: YAML with tags of its own, prompts in Jinja (arXiv 2202.01279)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from data_pipelines.errors import SourceError
from data_pipelines.file_cache import cached_by_file
from data_pipelines.templates.sandbox import TemplateRefused, compiled, render

SEPARATOR = "|||"
"""Between input and target, and between answer choices."""


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads the two tags as plain mappings."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


for _tag in ("!Template", "!TemplateMetadata"):
    _Loader.add_constructor(_tag, _mapping)


@dataclass(frozen=True)
class Prompt:
    """One named template of a data set."""

    name: str
    jinja: Any
    choices: Any | None
    refused: str = ""
    """Why the template can never be rendered."""

    def apply(
        self, columns: dict[str, Any], seed: int
    ) -> tuple[str, str, tuple[str, ...] | None] | None:
        """Input, target and answer choices; None where the template does not apply to the row.

        Raises TemplateRefused.
        """
        if self.refused:
            raise TemplateRefused(self.refused)
        choices = None
        if self.choices is not None:
            rendered = render(self.choices, columns, seed)
            choices = tuple(choice.strip() for choice in rendered.split(SEPARATOR))
        fields = {**columns, "answer_choices": list(choices) if choices else None}
        parts = [part.strip() for part in render(self.jinja, fields, seed).split(SEPARATOR)]
        if len(parts) != 2 or not all(parts):
            return None
        return parts[0], parts[1], choices


@cached_by_file(maxsize=512)
def load(path: Path) -> tuple[Prompt, ...]:
    """Templates of one file, by name. Raises SourceError for a file that is none of promptsource.

    A template with mistakes in it is kept, and refuses each row it is chosen for.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except FileNotFoundError:
        raise SourceError(f"{path} is missing; run `flanmoe fetch`") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{path} is no YAML of promptsource: {reason}") from None
    templates = data.get("templates") if isinstance(data, dict) else None
    if not isinstance(templates, dict) or not templates:
        raise SourceError(f"{path} is no file of promptsource: it has no templates")
    return tuple(sorted((_prompt(t) for t in templates.values()), key=lambda p: p.name))


def _prompt(entry: dict[str, Any]) -> Prompt:
    name = str(entry.get("name")).strip()
    try:
        choices = entry.get("answer_choices")
        return Prompt(
            name,
            compiled(str(entry.get("jinja"))),
            compiled(choices) if choices else None,
        )
    except TemplateRefused as error:
        return Prompt(name, None, None, str(error))
