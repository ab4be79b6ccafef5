"""Tokens of the query language: fields, numbers, quoted texts, operators and parentheses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from registry.errors import InvalidQuery

TokenKind = Literal["word", "number", "text", "operator", "end"]

MAX_LENGTH = 10_000
"""Longest condition, in characters."""
_TOKEN = re.compile(
    r"""
    (?P<text>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
    | (?P<number>[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<word>\w[\w./:+-]*(?:"[^"]+"|'[^']+')?)
    | (?P<operator><=|>=|==|!=|!~|[=<>~(),])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token and where it starts."""

    kind: TokenKind
    text: str
    """Content: without quotes and escapes for a text, and without the quotes of a key."""
    column: int
    """Position of its first character in the condition, from 1."""


def tokenize(condition: str) -> list[Token]:
    """Split a condition into tokens; the last one has the kind `end`.

    Raises:
        InvalidQuery: a character starts no token, or a text has no closing quote.
    """
    if len(condition) > MAX_LENGTH:
        raise InvalidQuery(
            f"condition: it has {len(condition):,} characters, more than {MAX_LENGTH:,}; shorten it"
        )
    tokens = []
    position = 0
    while position < len(condition):
        if condition[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(condition, position)
        if match is None:
            raise InvalidQuery(_describe_character(condition, position))
        tokens.append(_token(match))
        position = match.end()
    return [*tokens, Token(kind="end", text="", column=len(condition) + 1)]


def _token(match: re.Match[str]) -> Token:
    column = match.start() + 1
    text = match.group()
    if match.lastgroup == "text":
        content = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
        check_characters(content, f"condition, column {column}")
        return Token(kind="text", text=content, column=column)
    if match.lastgroup == "number":
        return Token(kind="number", text=text, column=column)
    if match.lastgroup == "word":
        check_characters(text, f"condition, column {column}")
        # The key of `tag."two words"`.
        return Token(kind="word", text=re.sub("[\"'](.*)[\"']$", r"\1", text), column=column)
    return Token(kind="operator", text=text, column=column)


def check_characters(text: str, where: str) -> None:
    """Check that a text has no character that a database cannot store, so that it cannot match.

    Raises:
        InvalidQuery: it has a NUL character or half of a surrogate pair.
    """
    for character in text:
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise InvalidQuery(f"{where}: the character {character!r} is not valid; remove it")


def _describe_character(condition: str, position: int) -> str:
    character = condition[position]
    if character in "\"'":
        problem = f"the text {condition[position : position + 20]!r} has no closing quote; add it"
    else:
        problem = f"unexpected character {character!r}; texts need quotes"
    return f"condition, column {position + 1}: {problem}"
