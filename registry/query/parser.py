"""Parser of conditions such as `suite.mmlu > 30 and gflops_per_token < 2`.

    condition := conjunction ("or" conjunction)*
    conjunction := factor ("and" factor)*
    factor := "not" factor | "(" condition ")" | test
    test := FIELD (= | != | < | <= | > | >= | ~ | !~) VALUE | FIELD ["not"] "in" "(" VALUE, … ")"
            | FIELD

`a != b` is read as `not a = b`, and `a in (b, c)` as `a = b or a = c`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from registry.errors import InvalidQuery
from registry.query.fields import FieldKind, FieldReference, resolve_field
from registry.query.tokens import Token, tokenize
from registry.tables import as_utc

Operator = Literal["=", "<", "<=", ">", ">=", "~"]
Value = bool | float | int | str | datetime

MAX_DEPTH = 50
MAX_TESTS = 200
_ORDER = ("<", "<=", ">", ">=")
_EQUALITY = ("=", "!=", "in")
_OPERATORS: dict[FieldKind, tuple[str, ...]] = {
    FieldKind.NUMBER: (*_EQUALITY, *_ORDER),
    FieldKind.TEXT: (*_EQUALITY, "~", "!~"),
    FieldKind.BOOLEAN: ("=", "!="),
    FieldKind.TIME: _ORDER,
    FieldKind.SCORE: _ORDER,
    FieldKind.BARE_SCORE: _ORDER,
    FieldKind.ALIAS: (*_EQUALITY, "~", "!~"),
    FieldKind.TAG: (*_EQUALITY, "~", "!~"),
}
_NUMERIC = (FieldKind.NUMBER, FieldKind.SCORE, FieldKind.BARE_SCORE)
_KEYWORDS = ("and", "or", "not", "in")
_SYMBOLS = ("=", "==", "!=", "<", "<=", ">", ">=", "~", "!~")


@dataclass(frozen=True)
class FieldTest:
    """A comparison of a field with a value; false if the version has no such value."""

    field: FieldReference
    operator: Operator
    value: Value


@dataclass(frozen=True)
class HasTag:
    """Whether a version has a tag, whatever its value."""

    field: FieldReference


@dataclass(frozen=True)
class Negation:
    """True where the operand is false; there is no third value."""

    operand: Condition


@dataclass(frozen=True)
class Conjunction:
    """True where all operands are."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True)
class Disjunction:
    """True where an operand is."""

    operands: tuple[Condition, ...]


Condition = FieldTest | HasTag | Negation | Conjunction | Disjunction


def parse_condition(text: str) -> Condition:
    """Parse a condition.

    Raises:
        InvalidQuery: it is not valid; the text names the column, and the nearest field.
    """
    return _Parser(tokenize(text)).parse()


def fields_of(condition: Condition) -> list[FieldReference]:
    """Return the fields of a condition, in order, with repetitions."""
    if isinstance(condition, FieldTest | HasTag):
        return [condition.field]
    if isinstance(condition, Negation):
        return fields_of(condition.operand)
    return [field for operand in condition.operands for field in fields_of(operand)]


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.num_tests = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def parse(self) -> Condition:
        condition = self.parse_disjunction(0)
        if self.token.kind != "end":
            raise self.error("expected 'and', 'or' or the end")
        return condition

    def parse_disjunction(self, depth: int) -> Condition:
        operands = [self.parse_conjunction(depth)]
        while self.take_keyword("or"):
            operands.append(self.parse_conjunction(depth))
        return operands[0] if len(operands) == 1 else Disjunction(tuple(operands))

    def parse_conjunction(self, depth: int) -> Condition:
        operands = [self.parse_factor(depth)]
        while self.take_keyword("and"):
            operands.append(self.parse_factor(depth))
        return operands[0] if len(operands) == 1 else Conjunction(tuple(operands))

    def parse_factor(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} levels deep; simplify the condition")
        if self.take_keyword("not"):
            return Negation(self.parse_factor(depth + 1))
        if self.take_symbol("("):
            condition = self.parse_disjunction(depth + 1)
            if not self.take_symbol(")"):
                raise self.error("expected ')', 'and' or 'or'")
            return condition
        return self.parse_test()

    def parse_test(self) -> Condition:
        token = self.token
        if token.kind != "word" or token.text.lower() in _KEYWORDS:
            raise self.error("expected a field, 'not' or '('")
        field = resolve_field(token.text, f"condition, column {token.column}")
        self.position += 1
        is_negated = self.token_is("not") and self.next_is("in")
        if is_negated:
            self.position += 1
        if self.token_is("in"):
            self.check_operator(field, "in")
            self.position += 1
            condition = self.parse_values(field)
            return Negation(condition) if is_negated else condition
        if self.token.kind == "operator" and self.token.text in _SYMBOLS:
            return self.parse_comparison(field)
        if field.kind is FieldKind.TAG:
            self.count_test()
            return HasTag(field)
        if field.kind is FieldKind.BOOLEAN:
            self.count_test()
            return FieldTest(field, "=", True)
        raise self.error(f"expected one of {' '.join(_OPERATORS[field.kind])} after {field.name!r}")

    def parse_comparison(self, field: FieldReference) -> Condition:
        symbol = "=" if self.token.text == "==" else self.token.text
        self.check_operator(field, symbol)
        self.position += 1
        operator = symbol.removeprefix("!") or "="
        operator = operator if operator in get_args(Operator) else "="
        test = FieldTest(field, operator, self.parse_value(field))  # type: ignore[arg-type]
        return Negation(test) if symbol.startswith("!") else test

    def parse_values(self, field: FieldReference) -> Condition:
        if not self.take_symbol("("):
            raise self.error("expected '(' after 'in'")
        tests = [FieldTest(field, "=", self.parse_value(field))]
        while self.take_symbol(","):
            tests.append(FieldTest(field, "=", self.parse_value(field)))
        if not self.take_symbol(")"):
            raise self.error("expected ',' or ')'")
        return tests[0] if len(tests) == 1 else Disjunction(tuple(tests))

    def parse_value(self, field: FieldReference) -> Value:
        self.count_test()
        value = self.convert_value(field)
        self.position += 1
        return value

    def convert_value(self, field: FieldReference) -> Value:
        token = self.token
        if field.kind in _NUMERIC:
            if token.kind != "number":
                raise self.error(f"expected a number, as {field.name!r} is one")
            return self.convert_number()
        if field.kind is FieldKind.BOOLEAN:
            if token.kind != "word" or token.text.lower() not in ("true", "false"):
                raise self.error(f"expected true or false, as {field.name!r} is one of them")
            return token.text.lower() == "true"
        if token.kind != "text":
            what = "a time such as '2026-05-31 12:00'" if field.kind is FieldKind.TIME else "a text"
            raise self.error(f"expected {what} in quotes")
        if field.kind is FieldKind.TIME:
            return self.convert_time()
        choices = field.column.choices if field.kind is FieldKind.TEXT else ()
        is_exact = self.tokens[self.position - 1].text != "~"
        if choices and is_exact and token.text not in choices:
            raise self.error(f"expected one of {', '.join(choices)}")
        return token.text

    def convert_number(self) -> float | int:
        text = self.token.text
        number = float(text)
        if not math.isfinite(number):
            raise self.error("expected a number of at most 1.8e308")
        is_integer = text.lstrip("+-").isdigit() and abs(number) < 2**63
        return int(text) if is_integer else number

    def convert_time(self) -> datetime:
        try:
            time = datetime.fromisoformat(self.token.text.strip())
        except ValueError:
            raise self.error("expected a time such as '2026-05-31' or '2026-05-31 12:00'") from None
        try:
            return as_utc(time)
        except OverflowError:
            raise self.error("expected a time between the years 1 and 9999") from None

    def check_operator(self, field: FieldReference, symbol: str) -> None:
        if symbol in _OPERATORS[field.kind]:
            return
        expected = " ".join(_OPERATORS[field.kind])
        hint = ""
        if field.kind is FieldKind.SCORE:
            hint = ", as a score is an interval: > compares its lower end, < its upper end"
        raise self.error(f"expected one of {expected} after {field.name!r}{hint}")

    def count_test(self) -> None:
        self.num_tests += 1
        if self.num_tests > MAX_TESTS:
            raise self.error(f"it has more than {MAX_TESTS} comparisons; simplify the condition")

    def token_is(self, word: str) -> bool:
        return self.token.kind == "word" and self.token.text.lower() == word

    def next_is(self, word: str) -> bool:
        token = self.tokens[self.position + 1]
        return token.kind == "word" and token.text.lower() == word

    def take_keyword(self, word: str) -> bool:
        is_next = self.token_is(word)
        self.position += is_next
        return is_next

    def take_symbol(self, symbol: str) -> bool:
        is_next = self.token.kind == "operator" and self.token.text == symbol
        self.position += is_next
        return is_next

    def error(self, problem: str) -> InvalidQuery:
        token = self.token
        shown = "the condition ends" if token.kind == "end" else repr(token.text[:50])
        return InvalidQuery(f"condition, column {token.column}: {shown}: {problem}")
