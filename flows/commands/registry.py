"""`flanmoe registry ...`: the registry in words, or as JSON for scripts."""

from __future__ import annotations

import getpass
import json
from typing import Any

from rich.table import Table

from flows.config import load as check
from flows.config.schema import Params
from flows.runtime import workspace as project
from flows.runtime.display import models_table, wide_console
from registry.store import Registry


def _open() -> tuple[Registry, Params]:
    root = project.find()
    params = check.load(root / "params.yaml")
    return Registry.open(project.home(root), params.registry.artifacts), params


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def list_versions(model: str | None, as_json: bool) -> None:
    registry, _ = _open()
    versions = registry.versions(model)
    if as_json:
        _print_json(versions)
        return
    console = wide_console()
    if not versions:
        console.print("no version is registered yet; `flanmoe run` registers the first")
    for name in dict.fromkeys(version["model"] for version in versions):
        console.print(f"[bold]{name}[/]")
        console.print(models_table([v for v in versions if v["model"] == name]))


def show(model: str | None, version: int, as_json: bool) -> None:
    registry, params = _open()
    found = registry.show(model or params.registry.model, version)
    if as_json:
        _print_json(found)
        return
    console = wide_console()
    console.print(models_table([found]))
    record = found["run_record"]
    console.print(
        f"\ncommit {record['git_commit']}, data {record['data_version']}, seed {record['seed']}, "
        f"preset {record['preset']}, validation loss {record['losses']['validation_loss']}\n",
        highlight=False,
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("task", "items", "accuracy", "chance", "normalised"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for task in found["evaluation"]["tasks"]:
        table.add_row(
            task["task"],
            str(task["n"]),
            f"{100 * task['accuracy']:.1f} ± {100 * task['error']:.1f} %",
            f"{100 * task['random_score']:.1f} %",
            f"{task['normalised']:.1f}",
        )
    console.print(table)


def promote(model: str | None, version: int, override: str, as_json: bool) -> None:
    registry, params = _open()
    name = model or params.registry.model
    gates = registry.promote(
        name, version, params.registry.gates, actor=getpass.getuser(), override=override
    )
    if as_json:
        evidence = [gate.to_dict() for gate in gates]
        _print_json({"model": name, "version": version, "stage": "champion", "gates": evidence})
        return
    for gate in gates:
        print(f"  {'passed' if gate.passed else 'FAILED'}  {gate.name}: {gate.detail}")
    print(f"version {version} of {name!r} is champion")


def history(model: str | None, as_json: bool) -> None:
    registry, _ = _open()
    changes = registry.history(model)
    if as_json:
        _print_json(changes)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("when", "model", "version", "run", "change", "by", "why"):
        table.add_column(column)
    for change in changes:
        table.add_row(
            change["at"][:19].replace("T", " "),
            change["model"],
            str(change["version"]),
            change["name"],
            f"{change['from'] or 'new'} → {change['to']}",
            change["actor"],
            change["reason"],
        )
    wide_console().print(table)


def frontier(model: str | None, cost: str, as_json: bool) -> None:
    registry, params = _open()
    found = registry.frontier(model or params.registry.model, cost)
    if as_json:
        _print_json(found)
        return
    console = wide_console()
    for left in found["left_out"]:
        console.print(f"{left['name']} is left out: {left['reason']}", highlight=False)
    if not found["points"]:
        console.print("no version to show; `flanmoe run` trains, evaluates and registers some")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("version", "model", found["unit"], "accuracy", "on the front", "probability"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for point in found["points"]:
        table.add_row(
            str(point["version"]),
            f"{point['name']} ({point['kind']})",
            f"{point['cost']:.4g}",
            f"{100 * point['accuracy']:.1f} ± {100 * point['error']:.1f} %"
            + (" partial" if point["partial"] else ""),
            "yes" if point["on_front"] else "",
            f"{100 * point['probability']:.0f} %",
        )
    console.print(table)
    for twin in found["twins"]:
        equal = "equal cost" if twin["equal_cost"] else f"{twin['cost_ratio']:.2f} × its cost"
        console.print(
            f"{twin['moe']} against dense {twin['dense']} ({equal}): "
            f"{100 * twin['difference']:+.1f} points, 95 % {100 * twin['low']:+.1f} … "
            f"{100 * twin['high']:+.1f}",
            highlight=False,
        )
