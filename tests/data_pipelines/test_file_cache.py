"""Values computed from a file are cached until the file changes."""

import os

import pytest

from data_pipelines.file_cache import cached_by_file


def test_cached_by_file_recomputes_for_a_changed_file_or_another_argument_only(tmp_path):
    calls = []

    @cached_by_file(maxsize=2)
    def read(path, suffix):
        calls.append(path)
        return path.read_text() + suffix

    path = tmp_path / "file"
    path.write_text("a")
    assert [read(path, "!"), read(path, "!")] == ["a!", "a!"]
    assert len(calls) == 1
    assert read(path, "?") == "a?"
    os.replace(tmp_path / "file", tmp_path / "old")
    path.write_text("b")
    assert read(path, "!") == "b!"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read(path, "!")
