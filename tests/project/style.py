"""Rules of language that can be checked automatically.

`python -m tests.project.style PATH ...` lists the violations below the paths, by default all.

The rules: no banned word in a name, unique class names, and a docstring of more than one line on
every public function that takes a tensor or raises an exception.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flows.packages import PACKAGES

ROOT = Path(__file__).parent.parent.parent
CHECKED = (*PACKAGES, "benchmarks", "scripts", "tests")

BANNED = frozenset(
    [
        "found",
        "told",
        "kept",
        "made",
        "asked",
        "wanted",
        "whole",
        "held",
        "given",
        "left",
        "one",
        "ours",
        "theirs",
        "near",
        "brought",
        "lacking",
        "room",
        "rooms",
        "house",
        "res",
        "tmp",
        "data2",
    ]
)
STANDARD_TERMS = ("one_hot", "held_out", "left_padding", "tmp_path", "tmp_path_factory")
"""Terms of the field and of pytest that contain a banned word."""

_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")


@dataclass(frozen=True)
class Breach:
    """One violation of a rule."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.message}"


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below the folders, including scripts without a suffix."""
    files = []
    for folder in folders:
        top = ROOT / folder
        paths = [top] if top.is_file() else sorted(top.rglob("*"))
        files += [path for path in paths if path.is_file() and _is_python(path)]
    return files


def _is_python(path: Path) -> bool:
    if path.suffix:
        return path.suffix == ".py"
    return path.read_bytes()[:80].startswith(b"#!/usr/bin/env python")


def banned_words(name: str) -> list[str]:
    """Return the banned words among the parts of an identifier."""
    for term in STANDARD_TERMS:
        name = re.sub(rf"(?<![a-zA-Z]){term}(?![a-zA-Z])", "", name)
    return [word for word in _WORD.findall(name) if word.lower() in BANNED]


def bound_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every name that a module defines, with its line.

    Names that it only uses do not count, for example keyword arguments of libraries.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield (node.id if isinstance(node, ast.Name) else node.attr), node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, 0
        elif (isinstance(node, ast.ExceptHandler) and node.name) or (
            isinstance(node, ast.MatchAs | ast.MatchStar) and node.name
        ):
            yield node.name, node.lineno


def private_words(files: list[Path]) -> list[Breach]:
    """Return every name that contains a banned word, including file names."""
    breaches = []
    for path in files:
        for word in banned_words(path.stem):
            breaches.append(Breach(path, 1, f"file name holds {word!r}"))
        seen = set()
        for name, line in bound_names(_parse(path)):
            for word in banned_words(name):
                if (name, line) not in seen:
                    seen.add((name, line))
                    breaches.append(Breach(path, line, f"name {name!r} holds {word!r}"))
    return breaches


def repeated_classes(files: list[Path]) -> list[Breach]:
    """Return all but the first definition of each class name."""
    places: dict[str, list[tuple[Path, int]]] = defaultdict(list)
    for path in files:
        for node in ast.walk(_parse(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append((path, node.lineno))
    return [
        Breach(path, line, f"class {name!r} is also in {first.relative_to(ROOT)}")
        for name, (((first, _), *others)) in places.items()
        for path, line in others
    ]


def short_docstrings(files: list[Path]) -> list[Breach]:
    """Return public functions that take a tensor or raise, and whose docstring is one line."""
    breaches = []
    for path in files:
        for function in _public_functions(_parse(path)):
            reason = _needs_more(function)
            docstring = ast.get_docstring(function) or ""
            if reason and "\n" not in docstring:
                breaches.append(
                    Breach(
                        path,
                        function.lineno,
                        f"{function.name} {reason}; its docstring needs Args, Returns or Raises",
                    )
                )
    return breaches


def _public_functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the public functions of a module and methods of its public classes, not nested ones."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_functions(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from [node] if not node.name.startswith("_") else []


def _needs_more(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.annotation and re.search(r"\bTensor\b", ast.unparse(argument.annotation)):
            return f"takes a tensor ({argument.arg})"
    return "raises" if any(_raised(function)) else ""


def _raised(node: ast.AST) -> Iterator[ast.Raise]:
    """Yield a function's own raise statements, except bare ones and NotImplementedError."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            yield from [child] if "NotImplementedError" not in ast.unparse(child.exc) else []
        yield from _raised(child)


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def main() -> int:
    """Print the violations below the paths of the command line, by default all of them."""
    chosen = [Path(argument).resolve() for argument in sys.argv[1:]] or [ROOT]
    breaches = [
        *private_words(python_files(*CHECKED)),
        *repeated_classes(python_files(*CHECKED)),
        *short_docstrings(python_files(*PACKAGES)),
    ]
    shown = [b for b in breaches if any(b.path.is_relative_to(folder) for folder in chosen)]
    for breach in shown:
        print(breach)
    print(f"{len(shown)} breaches")
    return bool(shown)


if __name__ == "__main__":
    sys.exit(main())
