"""Loaders on the quirks of the published formats, and on what must not get through."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.errors import SourceError
from data_pipelines.example import Example
from data_pipelines.params import ReadParams
from tests.data_pipelines.conftest import bad, good, load

PLAIN = ReadParams(inversion_share=0, niv2_examples_share=0)


def test_cot_rows(part):
    # A quotation mark is text; a literal backslash-n is a line break; U+2028 ends no row.
    first, second, short, empty = load(
        part(
            "creak_train.tsv",
            'Is "A true?\tyes\tbecause "A is\n'
            "Pick:\\n(A) x\t(A)\tx\u2028fits\r\n"
            "only two\tcolumns\n"
            "empty\t\tcell\n",
            "cot_tsv",
            "cot",
        ),
        PLAIN,
    )
    assert isinstance(first, Example)
    assert 'Is "A true?' in first.inputs
    assert first.task == "cot_creak"
    assert "Pick:\n(A) x" in second.inputs
    assert second.question == "Pick:\n(A) x"
    assert (short.source_row, short.reason) == (3, "2 columns instead of 3")
    assert (empty.source_row, empty.reason) == (4, "empty cell")


def test_cot_rows_are_asked_in_every_form(part):
    rows = load(
        part(
            "x_train.tsv",
            "".join(f"question {i}\tanswer\twhy\n" for i in range(1000)),
            "cot_tsv",
            "cot",
        )
    )
    kinds = [row.template.split("_")[0] for row in rows]
    assert kinds.count("inverted") == pytest.approx(300, abs=60)
    assert kinds.count("rationale") == pytest.approx(350, abs=60)
    assert len({row.template for row in rows}) >= 20
    reasoned = [row for row in rows if row.template.startswith("rationale")]
    assert all(row.targets.startswith("why") and "answer" in row.targets for row in reasoned)
    # The content is the same whatever the form: what cleaning looks at.
    assert all(row.question == f"question {row.source_row - 1}" for row in rows)


def niv2(part, name="task001_x.json", **fields):
    task = {
        "Definition": ["Do this."],
        "Positive Examples": [{"input": "p", "output": "q", "explanation": "because"}],
        "Negative Examples": [{"input": "n", "output": "wrong", "explanation": "no"}],
        "Instances": [{"id": "a", "input": "in", "output": ["one", "two"]}],
        **fields,
    }
    return part(f"niv2/{name}", json.dumps(task), "niv2_json", "niv2", splits="splits")


def splits(part, test=""):
    part("splits/test_tasks.txt", test)


def test_niv2_task(part):
    splits(part)
    rows = load(
        niv2(
            part,
            Instances=[
                {"id": "a", "input": "in", "output": ["one", "two"]},
                {"id": "b", "input": "in", "output": "bare"},
                {"id": "c", "input": "", "output": ["x"]},
                {"id": "d", "input": "in", "output": []},
            ],
            Categories="a bare string",
        ),
        PLAIN,
    )
    assert rows[0].references == ("one", "two")
    assert rows[0].targets == "one"
    assert rows[1].references == ("bare",)
    assert "Do this." in rows[0].inputs
    assert [row.reason for row in bad(rows)] == ["no input or no output"] * 2
    assert rows[0].task == "task001_x"
    assert rows[0].shots == 0


def test_niv2_positive_and_negative_examples(part):
    splits(part)
    instances = [{"id": str(i), "input": f"in {i}", "output": ["o"]} for i in range(200)]
    rows = load(niv2(part, Instances=instances), ReadParams(niv2_examples_share=1.0))
    assert all(row.shots in (1, 2) for row in rows)
    assert all("Input: p\nOutput: q" in row.inputs for row in rows)
    negative = [row for row in rows if "Negative Example 2 -\nInput: n" in row.inputs]
    explained = [row for row in rows if "Explanation: because" in row.inputs]
    assert 70 < len(negative) < 130
    assert 70 < len(explained) < 130


def test_niv2_test_tasks_are_held_out(part):
    splits(part, "task001_x\ntask002_y\n")
    assert load(niv2(part))[0].split == "test"
    assert load(niv2(part), ReadParams(niv2_split="all"))[0].split == "train"
    assert load(niv2(part, "task9_z.json"))[0].split == "train"


def test_niv2_without_its_split_lists(part):
    with pytest.raises(SourceError, match=r"test_tasks\.txt is missing.*niv2_split: all"):
        load(niv2(part))


def test_a_task_without_instances_is_quarantined(part):
    splits(part)
    (row,) = load(niv2(part, Instances=[]))
    assert row.reason == "the task has no instances"


@pytest.mark.parametrize("content", ["[]", "{}", '{"Definition": ["x"]}', '{"Instances": []}'])
def test_a_file_that_is_no_niv2_task(part, content):
    with pytest.raises(SourceError, match="not a NIV2 task"):
        load(part("task.json", content, "niv2_json", "niv2"))


EXPORT = {"inputs": " i", "targets": "t", "task_name": "rte", "options": ["t", "u"]}


def test_flan_export_rows(part):
    lines = json.dumps(EXPORT) + '\n{"inputs": "i"}\n{cut\n\n[1]\n'
    row, no_target, cut, no_object = load(part("muffin/rte.jsonl", lines, "flan_export"))
    assert (row.mixture, row.options, row.inputs) == ("muffin", ("t", "u"), " i")
    assert no_target.reason == "no targets"
    assert cut.reason.startswith("not JSON")
    assert (no_object.reason, no_object.source_row) == ("not a JSON object", 5)


@pytest.mark.parametrize(
    ("source", "mixture"),
    [("Flan2021", "muffin"), ("FLAN", "muffin"), ("P3", "t0_sf"), ("NIv2", "niv2"), ("CoT", "cot"),
     ("Dialog", "muffin"), ("Program Synthesis", "muffin")],
)  # fmt: skip
def test_flan_export_sources_name_the_mixture(part, source, mixture):
    line = json.dumps({**EXPORT, "task_source": source, "template_type": "fs_opt"})
    (row,) = load(part("e.jsonl", line, "flan_export", ""))
    assert row.mixture == mixture
    assert row.shots
    assert not row.allow_exemplars


def test_flan_export_of_an_unknown_source(part):
    (row,) = load(part("e.jsonl", json.dumps({**EXPORT, "task_source": "x"}), "flan_export"))
    assert row.reason.startswith("task_source is 'x': known are")


def test_flan_export_in_parquet_and_gzip_gives_the_same(part, tmp_path):
    records = [{**EXPORT, "inputs": f"i {n}", "task_source": "CoT"} for n in range(5000)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    plain = load(part("e.jsonl", lines, "flan_export"))
    zipped = load(part("e.jsonl.gz", lines, "flan_export"))
    table = part("e.parquet", b"", "flan_export")
    pq.write_table(pa.Table.from_pylist(records), table.path)
    rows = load(table)
    for other in (zipped, rows):
        assert [r.inputs for r in other] == [r.inputs for r in plain]
        assert [r.source_row for r in other] == [r.source_row for r in plain]


def test_a_truncated_gzip_is_named(part):
    cut = part("e.jsonl.gz", (json.dumps(EXPORT) + "\n") * 5000, "flan_export")
    cut.path.write_bytes(cut.path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"e\.jsonl\.gz is a cut or damaged gzip"):
        load(cut)
    cut.path.write_bytes(b"no gzip at all")
    with pytest.raises(SourceError, match="cut or damaged gzip"):
        load(cut)


@pytest.mark.parametrize("data", [b"PAR1 cut", b""])
def test_a_damaged_parquet_is_named(part, data):
    with pytest.raises(SourceError, match=r"e\.parquet is no readable Parquet"):
        load(part("e.parquet", data, "flan_export"))


def test_a_parquet_of_something_else(part):
    table = part("e.parquet", b"", "flan_export")
    pq.write_table(pa.table({"x": [1]}), table.path)
    with pytest.raises(SourceError, match="has no column inputs, targets, task_name"):
        load(table)


def test_a_line_of_another_encoding_is_quarantined_alone(part):
    content = json.dumps(EXPORT).encode() + b'\n{"inputs": "caf\xe9"}\n'
    rows = load(part("e.jsonl", content, "flan_export"))
    assert len(good(rows)) == 1
    (row,) = bad(rows)
    assert row.reason == "not utf-8 at byte 15"
    assert "caf\\xe9" in row.raw


def test_a_byte_order_mark_is_no_text(part):
    rows = load(part("e.jsonl", b"\xef\xbb\xbf" + json.dumps(EXPORT).encode(), "flan_export"))
    assert len(good(rows)) == 1
    path = part("a.json", b"\xef\xbb\xbf[1, 2]")
    assert path.json() == [1, 2]


@pytest.mark.parametrize("content", ['[{"a": 1}, {"b"', '{"a": 1', '{"a": "b'])
def test_json_cut_in_half_says_so(part, content):
    with pytest.raises(SourceError, match=r"a\.json is not JSON .*looks cut off"):
        part("a.json", content).json()


def test_json_broken_in_the_middle_says_where(part):
    with pytest.raises(SourceError, match=r"a\.json is not JSON at line 2"):
        part("a.json", '{"a": 1,\n oops\n}').json()


def test_a_whole_file_of_another_encoding(part):
    with pytest.raises(SourceError, match="is not utf-8 text at byte 1; if it is of another"):
        part("a.json", b'"\xe9"').json()
    assert part("a.json", b'"\xe9"', encoding="latin-1").json() == "é"


def test_a_missing_file_is_named(part):
    gone = part("gone.json", "")
    gone.path.unlink()
    with pytest.raises(SourceError, match=r"gone\.json is missing; run `flanmoe fetch`"):
        gone.json()


def test_unbalanced_quotes_in_a_quoted_table(part):
    with pytest.raises(SourceError, match=r"a\.csv, line"):
        list(part("a.csv", 'a,b\n"x,y\n').table())


def test_text_files_are_documents_a_line(part):
    rows = load(part("t.txt", "one\n\ntwo\n", "text", "text"))
    assert [(row.inputs, row.source_row, row.mixture) for row in rows] == [
        ("one", 1, "text"),
        ("two", 3, "text"),
    ]


def test_uid_names_row_and_template():
    base = {
        "mixture": "cot", "task": "t", "template": "a", "inputs": "i", "targets": "o",
        "references": ("o",), "options": None, "source_file": "f", "source_row": 1,
        "question": "q", "answer": "o",
    }  # fmt: skip
    uid = Example(**base).uid
    assert Example(**{**base, "inputs": "other"}).uid == uid
    for key, value in {"template": "b", "source_row": 2, "item": 1, "task": "u"}.items():
        assert Example(**{**base, key: value}).uid != uid
