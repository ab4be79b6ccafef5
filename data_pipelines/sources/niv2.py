"""Super-NaturalInstructions: one JSON file a task.

Format (allenai/natural-instructions): `Definition` (list of str), `Instances` (list of
`{id, input, output}`). Some re-exports hold a bare string where a list belongs; both are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_pipelines.errors import SourceError
from data_pipelines.example import Example, Refused, stable_hash
from data_pipelines.params import MixParams
from data_pipelines.sources.text_files import read_json
from data_pipelines.templates.instructions import NIV2

PATTERN = "*.json"


def load(path: Path, name: str, params: MixParams) -> Iterator[Example | Refused]:
    """Examples of one task file; an instance without input or output is refused."""
    task = read_json(path)
    definitions = _strings(task.get("Definition")) if isinstance(task, dict) else []
    instances = task.get("Instances") if isinstance(task, dict) else None
    if not definitions or not isinstance(instances, list):
        raise SourceError(f"{path} is not a NIV2 task: it lacks Definition or Instances")
    for row, instance in enumerate(instances):
        text = instance.get("input") if isinstance(instance, dict) else None
        outputs = _strings(instance.get("output")) if isinstance(instance, dict) else []
        if not isinstance(text, str) or not text.strip() or not outputs:
            yield Refused(
                source_file=name,
                source_row=row,
                reason="no input or no output",
                raw=str(instance)[:2000],
            )
            continue
        choice = stable_hash(params.seed, "template", name, row)
        number, definition = choice % len(NIV2), definitions[choice // 7 % len(definitions)]
        fields = {"definition": definition, "input": text.strip(), "output": outputs[0]}
        inputs, targets = NIV2[number]
        yield Example(
            mixture="niv2",
            task=path.stem,
            template=f"definition_{number}",
            inputs=inputs.format(**fields),
            targets=targets.format(**fields),
            references=tuple(outputs),
            options=None,
            source_file=name,
            source_row=row,
        )


def _strings(value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return [v.strip() for v in values if isinstance(v, str) and v.strip()]
