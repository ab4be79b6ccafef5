"""Responses on disk, one JSON line per batch, from which a killed evaluation resumes."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_pipelines.files import append_json_line, read_json_lines
from models.evaluation.batches import RequestBatch, Response


class ResponseCache:
    """Responses of one model by the digest of their batch. An incomplete last line is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_digest: dict[str, list[Response]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            self._load()

    def add(self, batch: RequestBatch, responses: list[Response]) -> None:
        """Store the responses of a batch and wait until they are on the disk."""
        self.by_digest[batch.digest] = responses
        entry = {"batch": batch.digest, "responses": [asdict(response) for response in responses]}
        append_json_line(self.path, entry)

    def _load(self) -> None:
        entries, complete_bytes = read_json_lines(self.path)
        try:
            self.by_digest = {
                entry["batch"]: [_parse_response(fields) for fields in entry["responses"]]
                for entry in entries
            }
        except (KeyError, TypeError):
            # Another version wrote these responses; they are computed again.
            self.by_digest, complete_bytes = {}, 0
        # The next line must not continue an incomplete one.
        os.truncate(self.path, complete_bytes)


def _parse_response(fields: dict[str, Any]) -> Response:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Response(**values)
