"""Write files of sources, and read the rows that their loaders yield."""

import gzip
import json

from data_pipelines.example import Example, RejectedRow
from data_pipelines.params import ReadParams
from data_pipelines.sources.part import Part
from data_pipelines.sources.table import LOADERS


def write_part(folder, name, content, format="text", mixture="muffin", **options):
    """Write a file below `folder` and return it as a Part; a name in `.gz` is compressed."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return Part(
        source="test", mixture=mixture, format=format, path=path, name=name, options=options
    )


def load_rows(part, params=None):
    """Return all rows that the loader of the part's format yields."""
    return list(LOADERS[part.format].load(part, params or ReadParams()))


def examples_in(rows):
    return [row for row in rows if isinstance(row, Example)]


def rejected_in(rows):
    return [row for row in rows if isinstance(row, RejectedRow)]


def json_lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)
