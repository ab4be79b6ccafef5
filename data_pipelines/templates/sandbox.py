"""Renders templates of other people: Jinja in its sandbox, with a budget.

The sandbox keeps a template from attributes and calls it must not reach. It does not keep it from
running for ever, so loops and calls are counted and a template that takes more than its budget is
refused; a count, unlike a clock, refuses the same template on every machine.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from jinja2 import TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

BUDGET = 20_000
"""Steps of loops, and calls, that one rendering may take."""
LONGEST = 1_000_000
"""Characters, or items, that an operator or filter may make."""

_steps: ContextVar[int] = ContextVar("steps")
_random: ContextVar[random.Random] = ContextVar("random")


class TemplateRefused(Exception):
    """A template cannot be rendered; its text says why."""


def _step() -> None:
    left = _steps.get() - 1
    _steps.set(left)
    if left < 0:
        raise SecurityError(f"more than {BUDGET} steps: the template does not end")


# With the context asked for, Jinja does not work a filter out once, when it compiles a constant.
@pass_context
def _counted(_context: Context, items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        _step()
        yield item


@pass_context
def _choice(_context: Context, items: Any) -> Any:
    """promptsource's `choice`: one item by chance, here by the row's own chance."""
    items = list(items)
    return _random.get().choice(items) if items else Undefined(name="choice")


def _most_frequent(items: Any) -> list[Any]:
    """promptsource's `most_frequent`: the items that occur most often."""
    counts = Counter(items)
    return [item for item, n in counts.items() if n == max(counts.values())]


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with counted loops and calls, and no operator that blows up memory."""

    intercepted_binops = frozenset(["*", "**", "%"])

    def __init__(self) -> None:
        super().__init__()
        self.filters |= {
            "_counted": _counted,
            "choice": _choice,
            "most_frequent": _most_frequent,
        }
        # Padding to any width would fill the memory in one call.
        for name in ("center", "indent", "format", "pprint"):
            self.filters.pop(name, None)
        self.globals["zip"] = zip

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None)
        return tree

    def call(self, *arguments: Any, **named: Any) -> Any:
        _step()
        return super().call(*arguments, **named)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # Methods of text that pad or repeat to any length.
        if isinstance(obj, str) and attr in ("center", "ljust", "rjust", "zfill", "expandtabs"):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("powers are not allowed")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("text formatting is not allowed")
        if operator == "*":
            for sized, times in ((left, right), (right, left)):
                sizes = isinstance(sized, str | list | tuple) and isinstance(times, int)
                if sizes and len(sized) * times > LONGEST:
                    raise SecurityError(f"more than {LONGEST} characters")
        return super().call_binop(context, operator, left, right)


_SANDBOX = Sandbox()


def compiled(source: str) -> Any:
    """A template. Raises TemplateRefused for one with mistakes in it."""
    try:
        return _SANDBOX.from_string(source)
    except TemplateError as error:
        raise TemplateRefused(f"not a template: {error}") from None


def render(template: Any, fields: dict[str, Any], seed: int) -> str:
    """The text; `seed` decides what `choice` picks.

    Raises TemplateRefused for what the sandbox or the budget does not allow.
    """
    _steps.set(BUDGET)
    _random.set(random.Random(seed))
    try:
        text: str = template.render(fields)
    except RecursionError:
        raise TemplateRefused("the template calls itself without end") from None
    except Exception as error:  # whatever foreign code raises is the template's mistake
        raise TemplateRefused(f"{type(error).__name__}: {error}") from None
    return text
