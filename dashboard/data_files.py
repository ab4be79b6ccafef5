"""Files of the data stages: their reports, and the tables of pairs and of rejected rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import streamlit as st
import yaml

from dashboard.cached_queries import FileState, file_state, project_folder

MAX_REASONS = 100
PROJECT = "project"
"""Name of the project's own data/."""
_WORKSPACES = Path(".flanmoe") / "workspaces"


class DataFileError(Exception):
    """A file of a data stage is missing or not as this release writes it; its text is one line."""


def list_workspaces() -> dict[str, Path]:
    """Return the folders that have data/, by name: the project's own first."""
    project = project_folder()
    folders = {PROJECT: project}
    for folder in sorted((project / _WORKSPACES).glob("*")):
        if (folder / "data").is_dir():
            folders[folder.name] = folder
    return folders


def read_stage_report(workspace: Path, path: str, command: str) -> Any:
    """Read a JSON file of a data stage; it is read again when it changes.

    Args:
        workspace: folder of data/.
        path: below the workspace.
        command: the command that writes it.

    Raises:
        DataFileError: the file is missing, or is not JSON.
    """
    try:
        return _read_json(*_locate(workspace, path, command))
    except (OSError, ValueError, RecursionError) as error:
        raise DataFileError(f"{path}: not JSON ({error}); run `flanmoe {command}`") from None


@st.cache_resource(max_entries=64, show_spinner=False)
def _read_json(path: str, state: FileState) -> Any:
    """Read a file; `state` is a part of the cache's key."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def read_stage_params(workspace: Path, stage: str, key: str) -> dict[str, Any]:
    """Return the parameters with which DVC last ran a stage; empty if it did not run it.

    Args:
        workspace: folder of dvc.lock.
        stage: name of the stage.
        key: of its parameters, such as `data_pipelines.mix`.
    """
    file = workspace / "dvc.lock"
    try:
        lock = _read_yaml(str(file.resolve()), file_state(file))
        params = lock["stages"][stage]["params"]["params.yaml"][key]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}
    return params if isinstance(params, dict) else {}


@st.cache_resource(max_entries=8, show_spinner=False)
def _read_yaml(path: str, state: FileState) -> Any:
    """Read a file; `state` is a part of the cache's key."""
    return yaml.load(Path(path).read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe loaders


def count_rejected_rows(workspace: Path) -> pd.DataFrame:
    """Return the number of rows that could not be read, by source file and reason.

    Raises:
        DataFileError: the file is missing or malformed.
    """
    table = _read_table(workspace, "data/records/quarantine.parquet", "read")
    try:
        counts = table.select(["source_file", "reason"]).group_by(["reason", "source_file"])
        frame = counts.aggregate([([], "count_all")]).to_pandas()
    except (KeyError, pa.ArrowException) as error:
        raise DataFileError(
            f"data/records/quarantine.parquet: {error}; run `flanmoe read`"
        ) from None
    frame = pd.DataFrame(frame).rename(columns={"count_all": "rows"})
    return frame.sort_values("rows", ascending=False, kind="stable").head(MAX_REASONS)


def read_overlaps(
    workspace: Path, search: str, *, offset: int, limit: int
) -> tuple[pd.DataFrame, int]:
    """Return a page of the rows of the sources that overlap with an evaluation item.

    Args:
        workspace: folder of data/.
        search: a part of a suite, a task or an item; empty: all.
        offset: number of pairs to skip.
        limit: largest number of pairs.

    Returns:
        The pairs, and the number of matches.

    Raises:
        DataFileError: the file is missing or malformed.
    """
    table = _read_table(workspace, "data/clean/contamination.parquet", "clean")
    if search:
        columns = [
            name for name in table.column_names if pa.types.is_string(table.field(name).type)
        ]
        matches = pa.array([False] * table.num_rows)
        for name in columns:
            contains = pc.match_substring(table[name], search, ignore_case=True)
            matches = pc.or_(matches, pc.fill_null(contains, False))
        table = table.filter(matches)
    return table.slice(offset, limit).to_pandas(), table.num_rows


def _locate(workspace: Path, path: str, command: str) -> tuple[str, FileState]:
    """Return the absolute path of a stage's file and its state, the key of the caches."""
    file = workspace / path
    state = file_state(file)
    if not state:
        raise DataFileError(f"{path}: missing; run `flanmoe {command}`")
    return str(file.resolve()), state


def _read_table(workspace: Path, path: str, command: str) -> pa.Table:
    try:
        return _read_parquet(*_locate(workspace, path, command))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataFileError(f"{path}: not Parquet ({error}); run `flanmoe {command}`") from None


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_parquet(path: str, state: FileState) -> pa.Table:
    """Read a file without the text of its rows; `state` is a part of the cache's key."""
    file = pq.ParquetFile(path)
    return file.read(columns=[name for name in file.schema_arrow.names if name != "raw"])
