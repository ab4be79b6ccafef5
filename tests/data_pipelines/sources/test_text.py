"""Plain text for pre-training."""

from tests.data_pipelines.sources.factories import load_rows, rejected_in


def test_text_lines_are_documents_and_blank_lines_are_skipped(make_part):
    rows = load_rows(make_part("t.txt", "one\n\ntwo\n", "text", "text"))
    assert [(row.inputs, row.source_row, row.mixture) for row in rows] == [
        ("one", 1, "text"),
        ("two", 3, "text"),
    ]


def test_text_line_of_another_encoding_is_rejected(make_part):
    rows = load_rows(make_part("t.txt", b"one\ncaf\xe9\n", "text", "text"))
    assert [row.source_row for row in rejected_in(rows)] == [2]
