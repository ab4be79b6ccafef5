"""Word problems: GSM8K, SVAMP, ASDiv, MGSM."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.table import READERS
from tests.data_pipelines.sources.factories import json_lines, rejected_in


def read_items(make_part, format, content):
    return list(READERS[format](make_part("suite.file", content, format)))


def test_gsm8k_answer_is_the_number_after_the_hashes(make_part):
    rows = read_items(
        make_part,
        "gsm8k",
        json_lines(
            {"question": "How many?", "answer": "Two times 600.\n#### 1,200"},
            {"question": "How many?"},
            {"question": "How many?", "answer": "many"},
        ),
    )
    assert (rows[0].id, rows[0].answer, rows[0].options) == ("suite-0", "1200", None)
    assert [row.reason for row in rejected_in(rows)] == [
        "no question or no answer",
        "no number after ####",
    ]


def test_svamp_body_ends_with_a_full_stop(make_part):
    record = {"ID": "1", "Body": "Ann has 3 hats ", "Question": "How many? ", "Answer": 3.0}
    rows = read_items(make_part, "svamp", json.dumps([record, {**record, "Answer": "3"}]))
    assert (rows[0].text, rows[0].answer) == ("Ann has 3 hats. How many?", "3")
    assert [row.reason for row in rejected_in(rows)] == ["no body, question or number"]


def test_asdiv_unit_of_a_single_number_is_removed(make_part):
    problem = (
        '<Problem ID="{id}"><Body>B.</Body><Question>Q?</Question><Answer>{answer}</Answer>'
        "</Problem>"
    )
    answers = ("1,009 (apples)", "9 (apples); 3 (pears)", "")
    problems = "".join(problem.format(id=i, answer=answer) for i, answer in enumerate(answers))
    rows = read_items(make_part, "asdiv", f"<Set>{problems}</Set>")
    assert [row.answer for row in rows[:2]] == ["1009", "9 (apples); 3 (pears)"]
    assert [row.reason for row in rejected_in(rows)] == ["no body, question or answer"]


def test_asdiv_file_that_is_not_xml_fails(make_part):
    with pytest.raises(SourceError, match=r"suite\.file is not XML"):
        read_items(make_part, "asdiv", "no XML")


def test_mgsm_answer_is_the_last_column(make_part):
    rows = read_items(make_part, "mgsm", "Combien ?\t1,200\nno number\n")
    assert (rows[0].question, rows[0].answer) == ("Combien ?", "1200")
    assert [row.reason for row in rejected_in(rows)] == ["not a question and a number"]
