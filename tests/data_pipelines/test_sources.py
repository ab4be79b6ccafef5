"""Loaders on the quirks of the published formats."""

import json

import pytest
from data_pipelines.sources.text_files import read_json, read_lines

from data_pipelines.errors import SourceError
from data_pipelines.example import Example, Refused
from data_pipelines.params import MixParams
from data_pipelines.sources import cot, flan_export, niv2
from data_pipelines.sources.benchmarks import Item, bbh, gsm8k, mmlu, sample

PARAMS = MixParams()


def load(loader, path):
    return list(loader.load(path, f"{path.parent.name}/{path.name}", PARAMS))


def test_cot_rows(tmp_path):
    path = tmp_path / "creak_train.tsv"
    # A quotation mark is text; a literal backslash-n is a line break; U+2028 ends no row.
    path.write_bytes(
        'Is "A true?\tyes\tbecause "A is\n'
        "Pick:\\n(A) x\t(A)\tx\u2028fits\r\n"
        "only two\tcolumns\n"
        "empty\t\tcell\n".encode()
    )
    first, second, short, empty = load(cot, path)
    assert isinstance(first, Example)
    assert 'Is "A true?' in first.inputs
    assert first.task == "cot_creak"
    assert "Pick:\n(A) x" in second.inputs
    assert (short.source_row, short.reason) == (3, "2 columns instead of 3")
    assert (empty.source_row, empty.reason) == (4, "empty cell")


def test_cot_rows_are_asked_both_ways(tmp_path):
    path = tmp_path / "x_train.tsv"
    path.write_text("".join(f"question {i}\tanswer\twhy\n" for i in range(400)))
    kinds = [row.template.split("_")[0] for row in load(cot, path)]
    assert 150 < kinds.count("rationale") < 250
    reasoned = [row for row in load(cot, path) if row.template.startswith("rationale")]
    assert all(row.targets == "why The answer is answer." for row in reasoned)


def test_niv2_task(tmp_path):
    path = tmp_path / "task001_x.json"
    task = {
        "Definition": ["Do this."],
        "Instances": [
            {"id": "a", "input": "in", "output": ["one", "two"]},
            {"id": "b", "input": "in", "output": "bare"},
            {"id": "c", "input": "", "output": ["x"]},
            {"id": "d", "input": "in", "output": []},
        ],
    }
    path.write_text(json.dumps(task), encoding="utf-8-sig")
    rows = load(niv2, path)
    assert rows[0].references == ("one", "two")
    assert rows[0].targets == "one"
    assert rows[1].references == ("bare",)
    assert "Do this." in rows[0].inputs
    assert [type(row) for row in rows[2:]] == [Refused, Refused]
    assert rows[0].task == "task001_x"


@pytest.mark.parametrize("content", ["[]", "{}", '{"Definition": ["x"]}', '{"Instances": []}'])
def test_a_file_that_is_no_niv2_task(tmp_path, content):
    path = tmp_path / "task.json"
    path.write_text(content)
    with pytest.raises(SourceError, match="not a NIV2 task"):
        load(niv2, path)


def test_flan_export_rows(tmp_path):
    folder = tmp_path / "muffin"
    folder.mkdir()
    path = folder / "rte.jsonl"
    row = {"inputs": "i", "targets": "t", "task_name": "rte", "options": ["t", "u"]}
    path.write_text(json.dumps(row) + '\n{"inputs": "i"}\n{cut\n\n[1]\n')
    good, no_target, cut, no_object = load(flan_export, path)
    assert (good.mixture, good.options) == ("muffin", ("t", "u"))
    assert no_target.reason == "no targets"
    assert cut.reason.startswith("not JSON")
    assert (no_object.reason, no_object.source_row) == ("not a JSON object", 5)


def test_uid_names_row_and_template():
    base = {
        "mixture": "cot", "task": "t", "template": "a", "inputs": "i", "targets": "o",
        "references": ("o",), "options": None, "source_file": "f", "source_row": 1,
    }  # fmt: skip
    same, other = Example(**base), Example(**{**base, "source_row": 2})
    assert same.uid == Example(**base).uid != other.uid


def test_json_that_was_cut(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"Instances": [{"a": 1}, {"b"')
    with pytest.raises(
        SourceError, match=r"a\.json is not JSON at line 1.*cut off.*fetch it again"
    ):
        read_json(path)


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes(b"fine\n\xff\n")
    with pytest.raises(SourceError, match="not UTF-8 text at byte 5"):
        read_lines(path)


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match="is missing"):
        read_lines(tmp_path / "no.tsv")


def test_bbh(tmp_path):
    path = tmp_path / "snarks.json"
    rows = [
        {"input": "Which?\nOptions:\n(A) one\n(B) two", "target": "(B)"},
        {"input": "Which?\nOptions:\n(A) torn", "target": "torn, too"},
    ]
    path.write_text(json.dumps({"canary": "x", "examples": rows}))
    good, torn = bbh(path)
    assert good == Item(
        id="snarks-0", prompt=rows[0]["input"], answer="(B)", options=("(A)", "(B)")
    )
    assert torn.reason == "answer 'torn, too' is none of the options"
    rows = [{"input": "Q?\nOptions:\n- Yes\n- No", "target": "No"}]
    path.write_text(json.dumps({"examples": rows}))
    assert next(bbh(path)).options == ("Yes", "No")
    rows = [{"input": "not True", "target": "False"}, {"input": "True", "target": "True"}]
    path.write_text(json.dumps({"examples": rows}))
    assert next(bbh(path)).options == ("False", "True")
    rows = [{"input": f"{i} + 1", "target": str(i + 1)} for i in range(3)]
    path.write_text(json.dumps({"examples": rows}))
    assert next(bbh(path)).options is None


def test_mmlu_cells_over_several_lines(tmp_path):
    path = tmp_path / "anatomy_test.csv"
    path.write_bytes(b'"two\nlines",None,"b, c",d,e,B\r\nq,1,2,3,4,X\r\n')
    good, bad = mmlu(path)
    assert good.prompt == "two\nlines\n(A) None\n(B) b, c\n(C) d\n(D) e\nAnswer:"
    assert (good.answer, good.options) == ("B", ("A", "B", "C", "D"))
    assert "answer letter" in bad.reason


def test_mmlu_with_an_unclosed_quote(tmp_path):
    path = tmp_path / "anatomy_test.csv"
    path.write_text('q,a,b,c,d,A\n"open,a,b,c,d,B\n')
    with pytest.raises(SourceError, match=r"anatomy_test\.csv, line 2"):
        list(mmlu(path))


def test_gsm8k(tmp_path):
    path = tmp_path / "test.jsonl"
    rows = [
        {"question": "q", "answer": "<<1+1=2>>so\n#### 1,200"},
        {"question": "q", "answer": "no mark"},
        {"question": "q"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    good, unmarked, no_answer = gsm8k(path)
    assert good.answer == "1200"
    assert unmarked.reason == "no number after ####"
    assert "answer" in no_answer.reason


def test_sample_items(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "1", "prompt": "p", "answer": "a", "options": null}\n{"id": 2}\n')
    good, bad = sample(path)
    assert good.options is None
    assert isinstance(bad, Refused)
