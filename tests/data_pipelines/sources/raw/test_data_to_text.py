"""Data-to-text generation: E2E and DART."""

import json

import pytest

from tests.data_pipelines.sources.raw.factories import contents_of, reason_of


def test_e2e_references_are_all_texts_of_the_same_facts(make_part):
    (_, _, first), (_, _, second) = contents_of(make_part, "e2e")
    assert (first.references, second.references) == (("One.", "Two."), ("Two.", "One."))


def test_e2e_row_with_missing_cells_is_rejected(make_part):
    assert reason_of(make_part, "e2e", "mr,ref\nonly one\n") == "1 columns instead of 2"


def test_dart_each_annotation_becomes_a_row(make_part):
    _, (_, item, second) = contents_of(make_part, "dart")
    assert item == 1
    assert second.references == ("two", "one")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"tripleset": [["s", "p"]]}, "no tripleset of subject, predicate, object"),
        ({"tripleset": [["s", "p", "o"]], "annotations": []}, "no annotation"),
    ],
)
def test_dart_invalid_record_is_rejected(make_part, record, reason):
    assert reason_of(make_part, "dart", json.dumps([record])) == reason
