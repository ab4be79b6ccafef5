"""Render third-party Jinja templates in Jinja's sandbox, with limits on computation and memory.

The sandbox denies access to unsafe attributes and calls, but does not limit how long a template
runs. Iterations and calls are therefore counted, and a template that exceeds the limit is rejected.
Unlike a time limit, a count rejects the same templates on every machine.
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

MAX_STEPS = 20_000
"""Largest number of loop iterations and calls in one rendering."""
MAX_LENGTH = 1_000_000
"""Largest number of characters or items in the result of a multiplication."""

_remaining_steps: ContextVar[int] = ContextVar("remaining_steps")
_random: ContextVar[random.Random] = ContextVar("random")


class TemplateRejected(Exception):
    """A template cannot be compiled or rendered; the text is the reason."""


def _count_step() -> None:
    remaining = _remaining_steps.get() - 1
    _remaining_steps.set(remaining)
    if remaining < 0:
        raise SecurityError(f"more than {MAX_STEPS} steps: the template does not end")


# A filter that takes the context is not evaluated at compile time, where no steps are counted.
@pass_context
def _counted(_context: Context, items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        _count_step()
        yield item


@pass_context
def _choice(_context: Context, items: Any) -> Any:
    """Return a random item (promptsource's `choice`), drawn with the seed of the rendering."""
    items = list(items)
    return _random.get().choice(items) if items else Undefined(name="choice")


def _most_frequent(items: Any) -> list[Any]:
    """Return the items that occur most often (promptsource's `most_frequent`)."""
    counts = Counter(items)
    return [item for item, n in counts.items() if n == max(counts.values())]


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with counted iterations and calls, and limits on repetition."""

    intercepted_binops = frozenset(["*", "**", "%"])

    def __init__(self) -> None:
        super().__init__()
        self.filters |= {
            "_counted": _counted,
            "choice": _choice,
            "most_frequent": _most_frequent,
        }
        # Padding to an arbitrary width could exhaust the memory in one call.
        for name in ("center", "indent", "format", "pprint"):
            self.filters.pop(name, None)
        self.globals["zip"] = zip

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None)
        return tree

    def call(self, *arguments: Any, **named: Any) -> Any:
        _count_step()
        return super().call(*arguments, **named)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # Methods of str that pad or repeat to an arbitrary length.
        if isinstance(obj, str) and attr in ("center", "ljust", "rjust", "zfill", "expandtabs"):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Any, operator: str, first: Any, second: Any) -> Any:
        """Evaluate `*`, `**` or `%`.

        Raises:
            SecurityError: The operation is not allowed, or its result would be too large.
        """
        if operator == "**":
            raise SecurityError("powers are not allowed")
        if operator == "%" and isinstance(first, str):
            raise SecurityError("text formatting is not allowed")
        if operator == "*":
            for sequence, factor in ((first, second), (second, first)):
                repeats = isinstance(sequence, str | list | tuple) and isinstance(factor, int)
                if repeats and len(sequence) * factor > MAX_LENGTH:
                    raise SecurityError(f"more than {MAX_LENGTH} characters")
        return super().call_binop(context, operator, first, second)


_SANDBOX = Sandbox()


def compile_template(source: str) -> Any:
    """Compile a Jinja template.

    Raises:
        TemplateRejected: The source is not a valid template.
    """
    try:
        return _SANDBOX.from_string(source)
    except TemplateError as error:
        raise TemplateRejected(f"invalid template: {error}") from None


def render(template: Any, fields: dict[str, Any], seed: int) -> str:
    """Render a compiled template.

    Args:
        template: the return value of `compile_template`.
        fields: variables of the template.
        seed: seed of the filter `choice`.

    Raises:
        TemplateRejected: The template fails, or exceeds what the sandbox or the limits allow.
    """
    _remaining_steps.set(MAX_STEPS)
    _random.set(random.Random(seed))
    try:
        text: str = template.render(fields)
    except RecursionError:
        raise TemplateRejected("the template calls itself without end") from None
    except Exception as error:  # third-party code may raise any exception
        raise TemplateRejected(f"{type(error).__name__}: {error}") from None
    return text
