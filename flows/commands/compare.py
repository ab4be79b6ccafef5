"""`flanmoe compare A B`: the paired comparison, as a table or as JSON."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

from rich.table import Table

from flows.config import load as check
from flows.runtime import workspace as project
from flows.runtime.display import count, wide_console
from models.errors import UnknownModel
from registry.comparison import compare as comparison
from registry.comparison import results
from registry.comparison.compare import Terms
from registry.store import Registry

_VERSION = re.compile(r"v(\d+)")
_STYLES = {"better": "green", "worse": "red", "undecided": "yellow"}


def compare(names: tuple[str, str], terms: Terms, *, workspace: Path | None, as_json: bool) -> None:
    """Raises ModelError or RegistryError for an unknown name or evaluations that do not compare."""
    root = workspace.resolve() if workspace else project.find()
    a, b = (results.read(name, _folder(name, root)) for name in names)
    found = comparison.compare(a, b, terms)
    if as_json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    console = wide_console()
    console.print(_costs(found))
    console.print()
    console.print(_table(found["suites"], "suite", found))
    console.print()
    console.print(_table(found["tasks"], "task", found))
    console.print(_legend(found), highlight=False)


def _folder(name: str, root: Path) -> Path:
    """A run of this workspace, `vN` for a registered version, or a folder with their files."""
    if (root / "runs" / name).is_dir():
        return root / "runs" / name
    version = _VERSION.fullmatch(name)
    if version:
        params = check.load(root / "params.yaml")
        registry = Registry.open(project.home(root), params.registry.artifacts)
        return Path(registry.show(params.registry.model, int(version[1]))["artifact"])
    if Path(name).is_dir():
        return Path(name)
    runs = sorted(path.name for path in (root / "runs").glob("*") if path.name != "scratch")
    near = difflib.get_close_matches(name, runs, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UnknownModel(
        f"{name!r} is no run of {root}, no version (v3) and no folder; {hint}"
        f"runs are {', '.join(runs) or 'none yet'}"
    )


def _costs(found: dict[str, Any]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("FLOPs")
    for column in (found["a"]["label"], found["b"]["label"], "ratio"):
        table.add_column(column, justify="right")
    for name, cost in found["compute"].items():
        ratio = "" if cost["ratio"] is None else f"{cost['ratio']:.3f}"
        table.add_row(name.replace("_", " "), count(cost["a"]), count(cost["b"]), ratio)
    return table


def _table(rows: list[dict[str, Any]], name: str, found: dict[str, Any]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(name)
    confidence = f"{100 * (1 - found['alpha']):.0f} % interval"
    for column in ("items", found["a"]["label"], found["b"]["label"], "difference", confidence,
                   "p, corrected"):  # fmt: skip
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for row in rows:
        judged = row["verdict"]
        needed = f", {row['items_needed']:,} items would do" if row["items_needed"] else ""
        table.add_row(
            row[name] + (" (partial)" if row.get("partial") else ""),
            str(row["n"]),
            f"{100 * row['a']:.1f} %",
            f"{100 * row['b']:.1f} %",
            f"{100 * row['difference']:+.1f}",
            f"{100 * row['low']:+.1f} … {100 * row['high']:+.1f}",
            f"{row['p_corrected']:.2g}",
            f"[{_STYLES.get(judged, 'default')}]{judged}[/]{needed}",
        )
    return table


def _legend(found: dict[str, Any]) -> str:
    a, b = found["a"]["label"], found["b"]["label"]
    clean = " Items that a training mixture overlaps with are left out." if found["clean"] else ""
    return (
        f"\n{a} minus {b}, in points. Tests are paired: exact McNemar for right and wrong, "
        "permutation for\ngraded scores and averages; corrected for their number (Holm). "
        f"Not worse: by less than {100 * found['margin']:g} points.\nItems that would do: to "
        f"decide with probability 80 %, if the difference is as seen.{clean}"
    )
