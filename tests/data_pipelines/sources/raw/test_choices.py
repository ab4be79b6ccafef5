"""Multiple-choice questions of the ARC family."""

import json

import pytest

from tests.data_pipelines.sources.factories import json_lines
from tests.data_pipelines.sources.raw.factories import contents_of, reason_of
from tests.data_pipelines.sources.raw.published_rows import ARC


def test_arc_digit_labels_with_a_letter_key_use_the_position(make_part):
    """23 rows of the published in-house split have option labels 1-4 and a letter as the key."""
    letter_key = json.loads(json.dumps(ARC))
    for number, choice in enumerate(letter_key["question"]["choices"], start=1):
        choice["label"] = str(number)
    digit_key = {**letter_key, "answerKey": "1"}
    rows = contents_of(make_part, "arc", json_lines(letter_key, digit_key))
    assert [content.answer for _, _, content in rows] == ["y", "x"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({**ARC, "answerKey": "E"}, "answerKey: 'E' is not one of A, B"),
        ({"question": {"stem": "s", "choices": []}}, "fewer than two choices"),
        ({"question": "text"}, "no question.stem"),
    ],
)
def test_arc_invalid_record_is_rejected(make_part, record, reason):
    assert reason_of(make_part, "arc", json_lines(record)) == reason
