"""Conditions that are not valid."""

import pytest

from registry.errors import InvalidQuery
from registry.query.parser import parse_condition


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("gflop_per_token < 2", "column 1: unknown field 'gflop_per_token'; did you mean 'gflops"),
        ("tuned and suit.mmlu > 3", "column 11: unknown field 'suit.mmlu'; did you mean 'suite.mm"),
        ("zzzz = 1", "column 1: unknown field 'zzzz'; expected one of model, version, name"),
        ("(tuned", "column 7: the condition ends: expected ')', 'and' or 'or'"),
        ("tuned) or moe", "column 6: ')': expected 'and', 'or' or the end"),
        ("tuned and", "column 10: the condition ends: expected a field, 'not' or '('"),
        ("name = 3", "column 8: '3': expected a text in quotes"),
        ("seed = 'x'", "column 8: 'x': expected a number"),
        ("seed < 1e999", "column 8: '1e999': expected a number of at most"),
        ("tuned = 1", "column 9: '1': expected true or false"),
        ("name = 'x", 'column 8: the text "\'x" has no closing quote; add it'),
        ("name & 'x'", "column 6: unexpected character '&'; texts need quotes"),
        ("name < 'x'", "column 6: '<': expected one of = != in ~ !~ after 'name'"),
        ("name in 'x'", "column 9: 'x': expected '(' after 'in'"),
        ("name in ('x'", "column 13: the condition ends: expected ',' or ')'"),
        ("name", "column 5: the condition ends: expected one of = != in ~ !~ after 'name'"),
        ("score = 30", "column 7: '=': expected one of < <= > >= after 'score', as a score is an"),
        ("state = 'rejcted'", "column 9: 'rejcted': expected one of registered, rejected, arch"),
        ("created > 'monday'", "column 11: 'monday': expected a time such as '2026-05-31'"),
        ("name ~ 'a\0b'", r"column 8: the character '\x00' is not valid; remove it"),
        ("(" * 60 + "tuned" + ")" * 60, "nested more than 50 levels deep"),
        ("not " * 60 + "tuned", "nested more than 50 levels deep"),
        (" or ".join(["tuned"] * 201), "it has more than 200 comparisons"),
        ("x" * 10_001, "it has 10,001 characters, more than 10,000; shorten it"),
    ],
)
def test_parse_condition_invalid_names_the_place_and_what_is_expected(where, message):
    with pytest.raises(InvalidQuery) as failure:
        parse_condition(where)
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)
