"""Licences of the sources of a mixture, from the catalog; those of NIV2 from its task files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from data_pipelines.params import LicenceTerms

UNKNOWN = "unknown"
"""Licence of a source whose publisher states none."""
# Words of a licence's name, the most restrictive terms first.
_PATTERNS: tuple[tuple[LicenceTerms, str], ...] = (
    ("non-commercial", r"\bnc\b|\bnd\b|non-?commercial|research|msr-la|\brace\b"),
    ("share-alike", r"\bsa\b|\bgpl|gfdl|odbl"),
    ("open", r"apache|\bmit\b|cc[ -]by|cc0|public domain|\bbsd\b|cdla permissive"),
)
_ORDER: tuple[LicenceTerms, ...] = ("unstated", "non-commercial", "share-alike", "open")

Licences = list[dict[str, Any]]
"""Entries `source, licence, terms, tasks`: a source has several if its tasks' licences differ."""


def classify_terms(licence: str) -> LicenceTerms:
    """Return the terms of use of a licence, by the words of its name; `unstated` if unknown.

    The words of an address do not count.
    """
    words = re.sub(r"https?://\S+", "", licence.lower())
    return next((terms for terms, pattern in _PATTERNS if re.search(pattern, words)), "unstated")


def join_licences(names: Iterable[str]) -> tuple[str, LicenceTerms]:
    """Return several licences that hold together as one text, with the strictest terms.

    Licences called unknown, of any case, are `UNKNOWN`, as are no licences at all.
    """
    texts = [UNKNOWN if name.strip().lower() == UNKNOWN else name.strip() for name in names]
    texts = list(dict.fromkeys(text for text in texts if text)) or [UNKNOWN]
    terms = min((classify_terms(text) for text in texts), key=_ORDER.index)
    return ", ".join(texts), terms


def select_licences(tasks: Iterable[dict[str, Any]]) -> Licences:
    """Return the licences of tasks.

    Args:
        tasks: entries with `task`, `source`, `licence` and `terms`, as in data/records/report.json.
    """
    names: dict[tuple[str, str, str], set[str]] = {}
    for entry in tasks:
        key = (entry["source"], entry["licence"], entry["terms"])
        names.setdefault(key, set()).add(entry["task"])
    return [
        {"source": source, "licence": licence, "terms": terms, "tasks": sorted(names[key])}
        for key in sorted(names)
        for source, licence, terms in [key]
    ]


def restrict_licences(licences: Licences, tasks: Iterable[str]) -> Licences:
    """Return the licences of some of the tasks."""
    selected = set(tasks)
    return [
        {**entry, "tasks": sorted(selected.intersection(entry["tasks"]))}
        for entry in licences
        if selected.intersection(entry["tasks"])
    ]
