"""Already rendered FLAN rows, as people share them: JSON lines.

Keys: `inputs`, `targets`, `task_name`, `template_type`; `task_source` names the mixture. Optional:
`options` (list of str), `template`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_pipelines.example import Example, Refused
from data_pipelines.params import MixParams
from data_pipelines.sources.text_files import read_lines

PATTERN = "*.jsonl"


def load(path: Path, name: str, params: MixParams) -> Iterator[Example | Refused]:
    """Examples of one file, of the mixture its folder is named after."""
    for row, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        reason, record = _parse(line)
        if record is None:
            yield Refused(source_file=name, source_row=row, reason=reason, raw=line[:2000])
            continue
        options = record.get("options")
        yield Example(
            mixture=path.parent.name,
            task=record["task_name"],
            template=str(record.get("template", record.get("template_type", "rendered"))),
            inputs=record["inputs"],
            targets=record["targets"],
            references=(record["targets"],),
            options=tuple(options) if options else None,
            source_file=name,
            source_row=row,
        )


def _parse(line: str) -> tuple[str, dict[str, Any] | None]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg}", None
    if not isinstance(record, dict):
        return "not a JSON object", None
    for key in ("inputs", "targets", "task_name"):
        value = record.get(key)
        if not isinstance(value, str) or not value.strip():
            return f"no {key}", None
    return "", record
