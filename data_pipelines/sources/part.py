"""The input of a loader: a file of a source, or a range of its lines."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from data_pipelines.errors import SourceError
from data_pipelines.example import RAW_CHARACTERS, RejectedRow

Record = TypeVar("Record")
Converted = TypeVar("Converted")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class InvalidRow(Exception):
    """A row that cannot be converted to an example; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of a source, or the lines between two byte offsets.

    Row numbers start at 1 in line-oriented files and tables, at 0 in JSON lists.
    """

    source: str
    mixture: str
    format: str
    path: Path
    name: str
    """Path relative to data/raw, the `source_file` of examples and rejected rows."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of the loader, from the catalog."""
    start: int = 0
    """Byte offset of the first line."""
    stop: int | None = None
    """Byte offset after the last line; None for the end of the file."""
    first_row: int = 1
    """Row number of the first line."""

    @property
    def raw_folder(self) -> Path:
        """The folder data/raw, to which `name` and the names of other files are relative."""
        return Path(str(self.path)[: -len(self.name)])

    def reject(self, row: int, reason: str, raw: object) -> RejectedRow:
        """Return the quarantine entry of a row; `raw` is the row's content."""
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
        return RejectedRow(
            source_file=self.name, source_row=row, reason=reason, raw=text[:RAW_CHARACTERS]
        )

    def lines(self) -> Iterator[tuple[int, str | RejectedRow]]:
        """Yield row number and line; a line that cannot be decoded is a RejectedRow.

        Lines end at a line feed only: `str.splitlines` would also split at U+2028 and other line
        separators within a cell.

        Raises:
            SourceError: The file is missing, or a damaged gzip file.
        """
        encoding = self.options.get("encoding", "utf-8")
        with self._open() as file:
            file.seek(self.start)
            remaining_bytes = None if self.stop is None else self.stop - self.start
            for row, line in enumerate(self._read_lines(file), start=self.first_row):
                if remaining_bytes is not None:
                    if remaining_bytes <= 0:
                        return
                    remaining_bytes -= len(line)
                if row == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                line = line.removesuffix(b"\n").removesuffix(b"\r")
                try:
                    yield row, line.decode(encoding)
                except UnicodeDecodeError as error:
                    escaped = line[: 2 * RAW_CHARACTERS].decode(encoding, "backslashreplace")
                    yield row, self.reject(row, f"not {encoding} at byte {error.start}", escaped)

    def read_text(self) -> str:
        """Read the complete file, regardless of `start` and `stop`.

        Raises:
            SourceError: The file is missing, damaged, or not text of its encoding.
        """
        encoding = self.options.get("encoding", "utf-8")
        with self._open() as file:
            data = b"".join(self._read_lines(file)).removeprefix(BYTE_ORDER_MARK)
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            raise SourceError(
                f"{self.path} is not {encoding} text (byte {error.start}); if the file has another "
                "encoding, set options.encoding in the catalog"
            ) from None

    def read_json(self, parse_float: Callable[[str], Any] = float) -> Any:
        """Parse the complete file as one JSON value.

        Args:
            parse_float: converts numbers with a point or an exponent; `Decimal` retains all digits.

        Raises:
            SourceError: The file cannot be read, or is truncated or not JSON.
        """
        text = self.read_text()
        try:
            return json.loads(text, parse_float=parse_float)
        except json.JSONDecodeError as error:
            at_end = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
            hint = " (the file looks truncated)" if at_end else ""
            raise SourceError(
                f"{self.path} is not JSON at line {error.lineno}: {error.msg}{hint}; fetch it again"
            ) from None

    def json_list(self, parse_float: Callable[[str], Any] = float) -> Iterator[tuple[int, Any]]:
        """Yield row number and item of a file that is one JSON list.

        Args:
            parse_float: see `read_json`.

        Raises:
            SourceError: The file cannot be read, or is not a JSON list.
        """
        items = self.read_json(parse_float)
        if not isinstance(items, list):
            raise SourceError(f"{self.path} is not a JSON list")
        yield from enumerate(items)

    def json_lines(self) -> Iterator[tuple[int, dict[str, Any] | RejectedRow]]:
        """Yield row number and object of JSON lines; blank lines are skipped."""
        for row, line in self.lines():
            if isinstance(line, RejectedRow):
                yield row, line
            elif line.strip():
                yield row, self._parse_object(row, line)

    def csv_rows(self, header: bool = True) -> Iterator[tuple[int, Any]]:
        """Yield row number and cells of a quoted CSV file, whose cells may contain line breaks.

        Args:
            header: whether the first row names the columns. Cells are then a dict by column name,
                otherwise a list.

        Raises:
            SourceError: The file cannot be read, or quotes are unbalanced.
        """
        rows = csv.reader(io.StringIO(self.read_text(), newline=""), strict=True)
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
                yield number, self.reject(number, reason, ",".join(cells))
            else:
                yield number, dict(zip(names, cells, strict=True))

    def _parse_object(self, row: int, line: str) -> dict[str, Any] | RejectedRow:
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            return self.reject(row, f"not JSON: {error.msg}", line)
        if not isinstance(record, dict):
            return self.reject(row, "not a JSON object", line)
        return record

    def _open(self) -> IO[bytes]:
        try:
            if self.path.suffix == ".gz":
                return gzip.open(self.path, "rb")  # type: ignore[return-value]
            return self.path.open("rb")
        except FileNotFoundError:
            raise SourceError(f"{self.path} is missing; run `flanmoe fetch`") from None

    def _read_lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """Yield lines with their line feeds; raise SourceError for a damaged gzip file."""
        try:
            yield from file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(
                f"{self.path} is a truncated or damaged gzip file ({error}); fetch it again"
            ) from None


def convert_rows(
    part: Part,
    records: Iterable[tuple[int, Record | RejectedRow]],
    convert: Callable[[int, Record], Converted],
) -> Iterator[Converted | RejectedRow]:
    """Convert each record; reject the records for which `convert` raises InvalidRow.

    Args:
        part: the file of the records.
        records: row number and record; rejected rows are passed on.
        convert: called with row number and record.
    """
    for row, record in records:
        if isinstance(record, RejectedRow):
            yield record
            continue
        try:
            yield convert(row, record)
        except InvalidRow as reason:
            yield part.reject(row, str(reason), record)


def require_text(value: Any, field_name: str) -> str:
    """Return a text field without surrounding white space.

    Raises:
        InvalidRow: The value is not text, or blank.
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidRow(f"no {field_name}")
    return value.strip()
