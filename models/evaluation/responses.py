"""ResponseCache on disk, a line for each batch: a killed evaluation goes on where it was."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from models.evaluation.batches import Batch, Response


class ResponseCache:
    """ResponseCache of one model, by batch. A line that was not finished counts for nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, list[Response]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            self._read()

    def add(self, batch: Batch, responses: list[Response]) -> None:
        """Generation through to the disk before it returns."""
        self.known[batch.digest] = responses
        line = json.dumps({"batch": batch.digest, "responses": [asdict(r) for r in responses]})
        with self.path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> None:
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                try:
                    entry = json.loads(line) if line.endswith(b"\n") else None
                    found = [_response(fields) for fields in entry["responses"]] if entry else []
                    name = entry["batch"] if entry else ""
                except (ValueError, KeyError, TypeError):
                    break
                if not name:
                    break
                self.known[name] = found
                whole += len(line)
        # What follows was cut by a kill: the next line must not be glued to it.
        os.truncate(self.path, whole)


def _response(fields: dict[str, object]) -> Response:
    return Response(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})  # type: ignore[arg-type]
