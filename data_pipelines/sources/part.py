"""What a loader is given: a file of a source, or a stretch of its lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from data_pipelines.errors import SourceError
from data_pipelines.example import RAW_CHARACTERS, RejectedRow


class BadRow(Exception):
    """A row that cannot be used; its text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """`start` and `stop` are byte offsets at line starts; `first_row` is the first line's number.

    Rows are counted from 1 in line-oriented files and tables, from 0 in JSON lists.
    """

    source: str
    mixture: str
    format: str
    path: Path
    name: str
    """Path below data/raw: what examples and refusals name."""
    options: dict[str, Any] = field(default_factory=dict)
    """How the catalog says the source is read."""
    start: int = 0
    stop: int | None = None
    first_row: int = 1

    @property
    def raw(self) -> Path:
        """The folder that `name`, and other files of the source, lie below."""
        return Path(str(self.path)[: -len(self.name)])

    def refused(self, row: int, reason: str, raw: object) -> RejectedRow:
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
        return RejectedRow(
            source_file=self.name, source_row=row, reason=reason, raw=text[:RAW_CHARACTERS]
        )

    def lines(self) -> Iterator[tuple[int, str | RejectedRow]]:
        """Rows broken at the line feed only: `str.splitlines` would also break inside cells."""
        encoding = self.options.get("encoding", "utf-8")
        with self._open() as file:
            file.seek(self.start)
            left = None if self.stop is None else self.stop - self.start
            for row, line in enumerate(self._broken(file), start=self.first_row):
                if left is not None:
                    if left <= 0:
                        return
                    left -= len(line)
                if row == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                line = line.removesuffix(b"\n").removesuffix(b"\r")
                try:
                    yield row, line.decode(encoding)
                except UnicodeDecodeError as error:
                    shown = line[: 2 * RAW_CHARACTERS].decode(encoding, "backslashreplace")
                    yield row, self.refused(row, f"not {encoding} at byte {error.start}", shown)

    def text(self) -> str:
        """The whole file. Raises SourceError naming it when it is missing or not text."""
        encoding = self.options.get("encoding", "utf-8")
        with self._open() as file:
            data = b"".join(self._broken(file)).removeprefix(b"\xef\xbb\xbf")
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.path} is not {encoding} text at byte {error.start}; if it is of another "
                "encoding, name that in the catalog"
            ) from None

    def json(self) -> Any:
        """A whole JSON file. Raises SourceError saying where a cut or broken one stops."""
        text = self.text()
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            at_end = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
            cut = " (the file looks cut off)" if at_end else ""
            raise SourceError(
                f"{self.path} is not JSON at line {error.lineno}: {error.msg}{cut}; fetch it again"
            ) from None

    def json_list(self) -> Iterator[tuple[int, Any]]:
        """Items of a file that is one JSON list. Raises SourceError for anything else."""
        items = self.json()
        if not isinstance(items, list):
            raise SourceError(f"{self.path} is not a JSON list")
        yield from enumerate(items)

    def json_lines(self) -> Iterator[tuple[int, dict[str, Any] | RejectedRow]]:
        """One JSON object a line; blank lines are passed over."""
        for row, line in self.lines():
            if isinstance(line, RejectedRow):
                yield row, line
            elif line.strip():
                yield row, self._object(row, line)

    def table(self, header: bool = True) -> Iterator[tuple[int, Any]]:
        """Rows of a quoted CSV: dicts by the header, else lists. Cells may hold line breaks.

        Raises SourceError for unbalanced quotes, naming the line.
        """
        rows = csv.reader(io.StringIO(self.text(), newline=""), strict=True)
        names: list[str] = []
        number = 0
        while True:
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise SourceError(
                    f"{self.path}, line {rows.line_num}: {error}; fetch it again"
                ) from None
            if header and not names:
                names = cells
                continue
            number += 1
            if not header:
                yield number, cells
            elif len(cells) != len(names):
                reason = f"{len(cells)} columns instead of {len(names)}"
                yield number, self.refused(number, reason, ",".join(cells))
            else:
                yield number, dict(zip(names, cells, strict=True))

    def _object(self, row: int, line: str) -> dict[str, Any] | RejectedRow:
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            return self.refused(row, f"not JSON: {error.msg}", line)
        if not isinstance(record, dict):
            return self.refused(row, "not a JSON object", line)
        return record

    def _open(self) -> IO[bytes]:
        try:
            if self.path.suffix == ".gz":
                return gzip.open(self.path, "rb")  # type: ignore[return-value]
            return self.path.open("rb")
        except FileNotFoundError:
            raise SourceError(f"{self.path} is missing; run `flanmoe fetch`") from None

    def _broken(self, file: IO[bytes]) -> Iterator[bytes]:
        """Lines, a damaged gzip told by name."""
        try:
            yield from file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(
                f"{self.path} is a cut or damaged gzip file ({error}); fetch it again"
            ) from None


def text_of(value: Any, name: str) -> str:
    """A filled text field, stripped. Raises BadRow."""
    if not isinstance(value, str) or not value.strip():
        raise BadRow(f"no {name}")
    return value.strip()
