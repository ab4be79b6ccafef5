"""Digest of the code that a stage executes: its import closure, without comments and docstrings.

The closure of a module is the module itself, every module of this project that it imports anywhere
(also inside functions), and so on. The digest covers the syntax tree of each module, so formatting,
comments and docstrings do not count. A string constant that names a file or folder next to the
module, such as `Path(__file__).with_name("suites")`, adds the content of those data files.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from flows.packages import PACKAGES


def package_root() -> Path:
    """Return the folder that holds the project's packages, wherever they are installed."""
    spec = find_spec("data_pipelines")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


@dataclass(frozen=True)
class CodeBase:
    """The project's modules below one folder; every file is read and parsed once."""

    root: Path
    _modules: dict[str, Module] = field(default_factory=dict)

    def closure(self, entry: str) -> list[str]:
        """Return `entry` and all modules that it imports, directly or indirectly, sorted."""
        names: set[str] = set()
        pending = [entry]
        while pending:
            name = pending.pop()
            if name not in names:
                names.add(name)
                pending += self._imported(name)
        return sorted(names)

    def digest(self, entry: str) -> str:
        """Return 16 hexadecimal characters that change with the code of `entry`'s closure."""
        parts = [f"{name} {self._module(name).digest}" for name in self.closure(entry)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def data_files(self, entry: str) -> list[Path]:
        """Return the data files that the modules of `entry`'s closure name, sorted."""
        modules = (self._module(name) for name in self.closure(entry))
        return sorted({file for module in modules for file in module.data_files})

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            path = self._find(name)
            assert path is not None, name
            self._modules[name] = Module(path)
        return self._modules[name]

    def _find(self, name: str) -> Path | None:
        """Return the file of a module of the project; None for any other name."""
        if name.split(".")[0] not in PACKAGES:
            return None
        path = self.root.joinpath(*name.split("."))
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
        return None

    def _imported(self, name: str) -> Iterator[str]:
        """Yield the project's modules that a module imports, and the packages that hold them."""
        for imported in self._module(name).imports:
            parts = imported.split(".")
            for length in range(1, len(parts) + 1):
                module = ".".join(parts[:length])
                if self._find(module) is not None:
                    yield module


@dataclass(frozen=True)
class Module:
    """One Python file."""

    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree without docstrings and other bare strings."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"), str(self.path))
        return _WithoutStrings().visit(tree)  # type: ignore[no-any-return]

    @cached_property
    def imports(self) -> list[str]:
        """Dotted names in import statements; of `from a import b` both `a` and `a.b`."""
        names: list[str] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        return names

    @cached_property
    def digest(self) -> str:
        """Hash of the syntax tree and of the data files that the module names."""
        content = hashlib.sha256(ast.dump(self.tree).encode())
        for file in self.data_files:
            content.update(file.relative_to(self.path.parent).as_posix().encode())
            content.update(file.read_bytes())
        return content.hexdigest()

    @cached_property
    def data_files(self) -> list[Path]:
        """Data files that a string constant of the module names, alone or through their folder."""
        names = {
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        files: list[Path] = []
        for name in sorted(names):
            # Only names of files and folders: neither paths that lead elsewhere nor sentences.
            if not name or name.startswith(".") or not all(c.isalnum() or c in "._-" for c in name):
                continue
            target = self.path.parent / name
            if target.is_dir() and not (target / "__init__.py").exists():
                files += (path for path in sorted(target.rglob("*")) if path.is_file())
            elif target.is_file() and target.suffix != ".py":
                files.append(target)
        return [file for file in files if "__pycache__" not in file.parts]


class _WithoutStrings(ast.NodeTransformer):
    """Remove expression statements that are a string: docstrings of modules, classes, fields."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return node
