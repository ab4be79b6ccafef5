"""Fixtures of the loaders' tests."""

from functools import partial

import pytest

from tests.data_pipelines.sources.factories import write_part


@pytest.fixture
def make_part(tmp_path):
    """Return a function that writes a file of a source and returns its Part."""
    return partial(write_part, tmp_path / "raw")
