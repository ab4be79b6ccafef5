"""Reading files: encodings, truncated and damaged files, CSV."""

import pytest

from data_pipelines.errors import SourceError
from tests.data_pipelines.sources.factories import (
    examples_in,
    json_lines,
    load_rows,
    rejected_in,
)

ROW = {"inputs": "i", "targets": "t", "task_name": "rte"}


def test_lines_of_damaged_gzip_fail_with_the_file_name(make_part):
    part = make_part("e.jsonl.gz", json_lines(*[ROW] * 5000), "flan_export")
    part.path.write_bytes(part.path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"e\.jsonl\.gz is a truncated or damaged gzip file"):
        load_rows(part)
    part.path.write_bytes(b"no gzip at all")
    with pytest.raises(SourceError, match="truncated or damaged gzip file"):
        load_rows(part)


def test_lines_reject_only_the_line_of_another_encoding(make_part):
    content = json_lines(ROW).encode() + b'{"inputs": "caf\xe9"}\n'
    rows = load_rows(make_part("e.jsonl", content, "flan_export"))
    assert len(examples_in(rows)) == 1
    (row,) = rejected_in(rows)
    assert row.reason == "not utf-8 at byte 15"
    assert "caf\\xe9" in row.raw


def test_lines_and_read_json_remove_the_byte_order_mark(make_part):
    content = b"\xef\xbb\xbf" + json_lines(ROW).encode()
    assert len(examples_in(load_rows(make_part("e.jsonl", content, "flan_export")))) == 1
    assert make_part("a.json", b"\xef\xbb\xbf[1, 2]").read_json() == [1, 2]


@pytest.mark.parametrize("content", ['[{"a": 1}, {"b"', '{"a": 1', '{"a": "b'])
def test_read_json_of_truncated_json_fails_with_a_hint(make_part, content):
    with pytest.raises(SourceError, match=r"a\.json is not JSON .*looks truncated"):
        make_part("a.json", content).read_json()


def test_read_json_of_invalid_json_fails_with_the_line(make_part):
    with pytest.raises(SourceError, match=r"a\.json is not JSON at line 2"):
        make_part("a.json", '{"a": 1,\n oops\n}').read_json()


def test_json_list_of_an_object_fails(make_part):
    with pytest.raises(SourceError, match=r"a\.json is not a JSON list"):
        list(make_part("a.json", "{}").json_list())


def test_read_json_of_another_encoding_fails_unless_the_options_name_it(make_part):
    with pytest.raises(SourceError, match=r"is not utf-8 text \(byte 1\); .*options\.encoding"):
        make_part("a.json", b'"\xe9"').read_json()
    assert make_part("a.json", b'"\xe9"', encoding="latin-1").read_json() == "é"


def test_read_json_of_a_missing_file_fails_with_its_name(make_part):
    part = make_part("missing.json", "")
    part.path.unlink()
    with pytest.raises(SourceError, match=r"missing\.json is missing; run `flanmoe fetch`"):
        part.read_json()


def test_csv_rows_with_unbalanced_quotes_fail_with_the_line(make_part):
    with pytest.raises(SourceError, match=r"a\.csv, line"):
        list(make_part("a.csv", 'a,b\n"x,y\n').csv_rows())
