"""Progress bars: on stderr, or as a file that `flanmoe run` reads."""

import io
from contextlib import redirect_stderr

import pytest

from data_pipelines.progress import (
    PROGRESS_VARIABLE,
    StageProgress,
    close_bars,
    progress_bar,
    read_progress,
)


@pytest.fixture
def channel(tmp_path, monkeypatch):
    """The file that receives the progress of this process."""
    path = tmp_path / "mix.progress"
    monkeypatch.setenv(PROGRESS_VARIABLE, str(path))
    return path


def test_progress_bar_with_a_channel_writes_its_state_there_and_nothing_to_stderr(channel):
    with redirect_stderr(io.StringIO()) as stderr:
        bar = progress_bar(total=40, desc="rows", mininterval=0)
        assert read_progress(channel) == StageProgress(
            description="rows", completed=0, total=40, note=""
        )
        bar.set_postfix_str("loss 2.5")
        bar.update(20)
        expected = StageProgress(description="rows", completed=20, total=40, note="loss 2.5")
        assert read_progress(channel) == expected
        bar.close()
    assert stderr.getvalue() == ""


def test_progress_bar_with_a_channel_draws_although_the_bars_of_libraries_are_off(
    channel, monkeypatch
):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(progress_bar(range(3), desc="part")) == [0, 1, 2]
    assert read_progress(channel) == StageProgress(
        description="part", completed=3, total=3, note=""
    )


def test_progress_bar_with_a_channel_that_cannot_be_written_does_not_end_the_stage(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(PROGRESS_VARIABLE, str(tmp_path / "missing" / "file"))
    assert list(progress_bar(range(3))) == [0, 1, 2]


def test_read_progress_without_a_bar_is_none(tmp_path):
    assert read_progress(tmp_path / "missing") is None
    (tmp_path / "text").write_text("error: no rows")
    assert read_progress(tmp_path / "text") is None


def test_close_bars_ends_the_line_of_an_open_bar():
    with redirect_stderr(io.StringIO()) as stderr:
        bar = progress_bar(total=4, desc="rows")
        bar.update(1)
        assert not stderr.getvalue().endswith("\n")
        close_bars()
        assert stderr.getvalue().endswith("\n")
