"""Comparison of texts without regard to case, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

CASEFOLD = "flanmoe_casefold"
"""SQLite function; SQLite's own `lower` and LIKE know ASCII only."""
_ESCAPE = "\\"


class casefold(GenericFunction[str]):  # noqa: N801 - the name of an SQL function
    """A text without case: by Unicode on SQLite, by the database's locale on PostgreSQL."""

    type = String()
    inherit_cache = True


@compiles(casefold)
def _compile_lower(element: casefold, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(casefold, "sqlite")
def _compile_casefold(element: casefold, compiler: Any, **options: Any) -> str:
    return f"{CASEFOLD}({compiler.process(element.clauses, **options)})"


def add_casefold(connection: Any) -> None:
    """Define CASEFOLD on a connection of the sqlite3 module."""
    connection.create_function(
        CASEFOLD, 1, lambda text: None if text is None else str(text).casefold(), deterministic=True
    )


def contains(column: SQLColumnExpression[Any], text: str) -> ColumnElement[bool]:
    """Return whether a column contains a text, in upper or lower case."""
    for character in (_ESCAPE, "%", "_"):
        text = text.replace(character, _ESCAPE + character)
    pattern = literal(f"%{text}%", String())
    return casefold(column).like(casefold(pattern), escape=_ESCAPE)
