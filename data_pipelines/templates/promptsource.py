"""Reader of promptsource's template files: YAML with Jinja templates (arXiv 2202.01279)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from data_pipelines.errors import SourceError
from data_pipelines.file_cache import cached_by_file
from data_pipelines.templates.sandbox import TemplateRejected, compile_template, render

SEPARATOR = "|||"
"""Separates the input from the target, and answer choices from each other."""


class _PromptsourceLoader(yaml.SafeLoader):
    """Safe YAML loader that reads the custom tags as plain mappings."""


def _construct_mapping(loader: _PromptsourceLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


for _tag in ("!Template", "!TemplateMetadata"):
    _PromptsourceLoader.add_constructor(_tag, _construct_mapping)


@dataclass(frozen=True)
class Prompt:
    """One named template of a data set."""

    name: str
    jinja: Any
    """Compiled template of input and target; None if it cannot be compiled."""
    choices: Any | None
    """Compiled template of the answer choices; None without choices."""
    error: str = ""
    """Why the template cannot be compiled; empty if it can."""

    def apply(
        self, columns: dict[str, Any], seed: int
    ) -> tuple[str, str, tuple[str, ...] | None] | None:
        """Render the template for one row.

        Args:
            columns: the row, by the column names of the data set on the Hugging Face hub.
            seed: seed of the filter `choice`.

        Returns:
            Input, target and answer choices (None without choices); None if the template does not
            apply to the row.

        Raises:
            TemplateRejected: The template cannot be compiled or rendered.
        """
        if self.error:
            raise TemplateRejected(self.error)
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
    """Read the templates of one file.

    A template that cannot be compiled is included; it rejects each row that it is applied to.

    Returns:
        The templates, sorted by name.

    Raises:
        SourceError: The file is missing, or not in promptsource's format.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_PromptsourceLoader)  # noqa: S506
    except FileNotFoundError:
        raise SourceError(f"{path} is missing; run `flanmoe fetch`") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"{path} is not a YAML file of promptsource: {reason}") from None
    templates = data.get("templates") if isinstance(data, dict) else None
    if not isinstance(templates, dict) or not templates:
        raise SourceError(f"{path} is not a file of promptsource: templates are missing")
    return tuple(sorted((_parse_prompt(t) for t in templates.values()), key=lambda p: p.name))


def _parse_prompt(entry: dict[str, Any]) -> Prompt:
    name = str(entry.get("name")).strip()
    try:
        choices = entry.get("answer_choices")
        return Prompt(
            name,
            compile_template(str(entry.get("jinja"))),
            compile_template(choices) if choices else None,
        )
    except TemplateRejected as error:
        return Prompt(name, None, None, str(error))
