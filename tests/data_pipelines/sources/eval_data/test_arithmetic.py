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


@pytest.mark.parametrize(
    ("published", "answer"),
    [
        ("1234567.0", "1234567"), ("1054997", "1054997"), ("1.5", "1.5"), ("-3.0", "-3"),
        ("0.30000000000000004", "0.3"), ("1e3", "1000"), ("2.50", "2.5"), ("0.0", "0"),
        ("12345678901234567890", "12345678901234567890"), ("1e-7", "0.0000001"),
        ("12345678901234567890.0", "12345678901234567890"), ("1234567.25", "1234567.25"),
    ],
)  # fmt: skip
def test_svamp_answer_keeps_its_digits(make_part, published, answer):
    content = f'[{{"ID": "1", "Body": "B.", "Question": "Q?", "Answer": {published}}}]'
    (item,) = read_items(make_part, "svamp", content)
    assert item.answer == answer


def test_svamp_answers_that_are_no_finite_number_are_rejected(make_part):
    for published in ("NaN", "Infinity", "true", "null"):
        content = f'[{{"ID": "1", "Body": "B.", "Question": "Q?", "Answer": {published}}}]'
        (row,) = read_items(make_part, "svamp", content)
        assert row.reason == "no body, question or number"
    content = '[{"ID": "1", "Body": "B.", "Question": "Q?", "Answer": 1e999999}]'
    (row,) = read_items(make_part, "svamp", content)
    assert row.reason == "Answer: 1E+999999 is too large or too small"


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
    rows = list(READERS["mgsm"](make_part("mgsm_fr.tsv", "Combien ?\t1,200\nno number\n", "mgsm")))
    assert rows[0].language == "fr"
    assert (rows[0].question, rows[0].answer) == ("Combien ?", "1200")
    assert [row.reason for row in rejected_in(rows)] == ["not a question and a number"]


def test_translations_of_a_problem_share_its_cluster(make_part):
    problems = json_lines(
        {"question": "A?", "answer": "#### 3"}, {"question": "B?", "answer": "#### 4"}
    )
    original = read_items(make_part, "gsm8k", problems)
    german, thai = (
        list(READERS["mgsm"](make_part(f"mgsm_{code}.tsv", "A?\t3\nB?\t4\n", "mgsm")))
        for code in ("de", "th")
    )
    clusters = [[item.cluster for item in items] for items in (original, german, thai)]
    assert clusters[0] == clusters[1] == clusters[2]
    assert len(set(clusters[0])) == 2
