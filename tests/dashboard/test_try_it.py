"""The page Try it: one instruction, answered by two versions in a child process."""

import json
import shutil

import pytest

from dashboard import predictions
from dashboard.child_process import ChildFailed, ChildResult
from tests.dashboard.factories import HOSTILE, open_page, plain, table_with, texts
from tests.factories import ROOT
from tests.registry.release_0_1_0 import RELEASE_0_1_0, copy_release_0_1_0

OUTPUT = {
    "answer": HOSTILE, "num_tokens": 30, "seconds": 0.5, "finished": True, "truncated": False,
    "experts": {"encoder.blocks.1.feed_forward.moe": [3, 1], "decoder.1": [0, 2]},
}  # fmt: skip


def answer(page):
    """Press the button."""
    next(entry for entry in page.button if entry.label == "Answer").click()
    page.run()
    assert not page.exception
    return page


@pytest.fixture
def child(monkeypatch):
    """A process in the place of `flanmoe predict`; yields its calls, and the next output."""
    calls, output = [], dict(OUTPUT)

    def run(module, arguments, *, text, memory_mb, timeout_s, **_):
        calls.append(([module, *arguments], text, memory_mb, timeout_s))
        if "error" in output:
            raise ChildFailed(output["error"])
        stdout = output.get("stdout", json.dumps(output) + "\n")
        code, stderr = output.get("code", 0), output.get("stderr", "")
        return ChildResult(returncode=code, stdout=stdout, stderr=stderr)

    monkeypatch.setattr(predictions, "run_limited", run)
    return calls, output


def test_both_versions_answer_side_by_side_with_speed_and_experts(project, child, monkeypatch):
    monkeypatch.setenv(predictions.MEMORY_VARIABLE, "512")
    monkeypatch.setenv(predictions.TIMEOUT_VARIABLE, "9.5")
    calls, _ = child
    instruction = "--help\n" + HOSTILE
    page = answer(open_page("try_it", instruction=instruction, tokens="20"))
    assert calls == [
        (["flows", "predict", "--json", "--measure", "--version", number, "--model", "m",
          "--max-new-tokens", "20"], json.dumps({"instruction": instruction}) + "\n", 512, 9.5)
        for number in ("2", "1")
    ]  # fmt: skip
    assert [block.value for block in page.code] == [HOSTILE, HOSTILE]
    shown = texts(page)
    assert shown.count("30 tokens in 0.50 s, 60 tokens per second.") == 2
    assert "A: \u2068★ moe v2" in shown
    assert "<script>" not in shown
    table = table_with(page, "load")
    rows = list(zip(table["layer"], table["expert"], table["load"], strict=True))
    assert rows == [
        ("encoder 1", 0, 1.5), ("encoder 1", 1, 0.5), ("decoder.1", 0, 0), ("decoder.1", 1, 2),
    ]  # fmt: skip
    assert "A used 3 of 4 experts." in shown
    page.text_area(key="url-instruction").input("another")
    page.run()
    assert not page.code


def test_answers_that_are_cut_and_dense_models_are_named(project, child):
    child[1].update(finished=False, truncated=True, experts={}, answer="")
    page = answer(open_page("try_it", instruction="x", a="1", b="1"))
    assert len(child[0]) == 1
    shown = texts(page)
    assert "it reached the limit of its tokens" in shown
    assert "longer than the model reads" in shown
    assert "A is dense" in shown
    assert page.code[0].value == "(no text)"


@pytest.mark.parametrize(
    ("output", "problem"),
    [({"code": 1, "stderr": f"log\nerror: version 2: {HOSTILE}"}, f"version 2: {HOSTILE} (limits:"),
     ({"code": -9}, "it ended with code -9 (limits: 8,192 MB, 120 s)"),
     ({"stdout": "no JSON"}, "its output is not as expected"),
     ({"stdout": ""}, "its output is not as expected"),
     ({"seconds": "NaN?"}, "its output is not as expected"),
     ({"error": "no answer within 9 s"}, "no answer within 9 s")],
)  # fmt: skip
def test_failure_of_a_version_is_a_line(project, child, output, problem):
    child[1].update(output)
    page = answer(open_page("try_it", instruction="x"))
    assert problem in plain(page.warning[0].value)
    assert len(page.warning) == 2


def test_empty_instruction_and_unknown_version_are_lines(project, child):
    page = answer(open_page("try_it", instruction=" "))
    assert "Instruction: empty" in page.warning[0].value
    page = open_page("try_it", a="9")
    assert "registered: 1, 2" in plain(page.error[0].value)
    assert child[0] == []


@pytest.mark.process
def test_versions_answer_as_on_the_command_line(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    copy_release_0_1_0(folder)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(folder))
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    instruction, expected = next(
        iter(json.loads((RELEASE_0_1_0 / "answers.json").read_text()).items())
    )
    page = answer(open_page("try_it", instruction=instruction, tokens="12", a="2", b="2"))
    assert not page.warning, page.warning[0].value
    assert page.code[0].value == expected
    assert set(table_with(page, "load")["layer"].str.split(" ").str[0]) == {"encoder", "decoder"}
