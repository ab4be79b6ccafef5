"""The terms of docs/concepts.md, each in its first sentence."""

from __future__ import annotations

import re
from pathlib import Path

from dashboard.cached_queries import project_folder

PAGE = Path("docs") / "concepts.md"
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_SENTENCE = re.compile(r"(.+?[.:])(?=\s+[A-Z`]|$)", re.DOTALL)


def read_glossary() -> dict[str, str]:
    """Return the first sentence of each term; empty without the documentation."""
    checkout = Path(__file__).parent.parent
    for folder in (project_folder(), checkout):
        if (folder / PAGE).is_file():
            return parse_glossary((folder / PAGE).read_text(encoding="utf-8"))
    return {}


def parse_glossary(page: str) -> dict[str, str]:
    """Return the first sentence below each heading of a page in Markdown, without links."""
    terms = {}
    for section in page.split("\n## ")[1:]:
        term, _, body = section.partition("\n")
        sentence = _SENTENCE.match(" ".join(_LINK.sub(r"\1", body).split()))
        if sentence:
            terms[term.strip()] = sentence[1]
    return terms
