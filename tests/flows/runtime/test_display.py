"""The display of a run: bars on a terminal, plain lines without one."""

import io
import re

import pytest
from rich.console import Console

from data_pipelines.progress import StageProgress
from flows.runtime import display as display_module
from flows.runtime.display import Display
from tests.factories import wait_for

HALF = StageProgress(description="rows", completed=3, total=7, note="2.5k rows/s")


def terminal_console():
    """Return a console that behaves as on a terminal and records what it draws."""
    return Console(file=io.StringIO(), force_terminal=True, record=True, width=100)


def drawn(console):
    """Return everything that the console wrote, without control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


def test_display_on_a_terminal_bar_appears_moves_and_ends():
    console = terminal_console()
    display = Display(console)
    with display.live():
        display.start("train@moe_base")
        assert wait_for(lambda: "train@moe_base" in drawn(console), 10)
        display.update("train@moe_base", HALF)
        assert wait_for(lambda: "3/7" in drawn(console), 10)
        last_frame = drawn(console)
        assert "rows" in last_frame
        assert "2.5k rows/s" in last_frame
        display.end("train@moe_base", "ran")
        end = len(console.file.getvalue())
    assert "3/7" not in console.file.getvalue()[end:]
    recorded = console.export_text()
    assert len(re.findall(r"train@moe_base +done +\d+\.\d s\n", recorded)) == 1


def test_display_on_a_terminal_shows_a_bar_for_each_running_stage():
    console = terminal_console()
    display = Display(console)
    with display.live():
        display.start("read")
        display.start("clean")
        display.end("read", "failed")
        start = len(console.file.getvalue())
        assert wait_for(lambda: "clean" in console.file.getvalue()[start:], 10)
        display.end("clean", "stopped")
    recorded = console.export_text()
    assert re.search(r"read +failed", recorded)
    assert re.search(r"clean +stopped", recorded)


def test_display_without_a_terminal_prints_lines_at_intervals(monkeypatch):
    console = Console(file=io.StringIO(), width=100)
    display = Display(console)
    with display.live():
        display.start("pack")
        display.update("pack", HALF)  # too soon after the start
        monkeypatch.setattr(display_module, "PLAIN_INTERVAL_S", 0.0)
        display.update("pack", HALF)
        display.end("pack", "ran")
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert lines[0] == ["pack", "started"]
    assert lines[1] == ["pack", "rows", "3/7", "2.5k", "rows/s"]
    assert lines[2][:2] == ["pack", "done"]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("status", "mark"),
    [
        ("cached", "unchanged"),
        ("failed", "failed"),
        ("stopped", "stopped"),
        ("refused", "waiting for DVC"),
        ("preempted", "preempted, will resume"),
    ],
)
def test_display_end_prints_the_status_in_words(status, mark):
    console = Console(file=io.StringIO(), width=100)
    Display(console).end("mix", status)
    assert console.file.getvalue().split() == ["mix", *mark.split()]


def test_display_note_is_printed_on_a_single_line_with_its_brackets():
    console = Console(file=io.StringIO(), width=60)
    note = "source eval_data/svamp is left out: no file matches [eval]/svamp/SVAMP.json below /data"
    Display(console).note(note)
    assert console.file.getvalue() == f"    {note}\n"
