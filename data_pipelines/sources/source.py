"""One source of the catalog: its files, licence and format."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from pydantic.dataclasses import dataclass

from data_pipelines.example import TEXT
from data_pipelines.params import MIXTURES, TERMS


@dataclass(frozen=True, kw_only=True, config={"extra": "forbid"})
class Source:
    """One entry; the head of catalog.yaml says what each field means."""

    format: str
    files: tuple[str, ...]
    licence: str
    terms: str
    mixture: str = ""
    suite: str = ""
    also: dict[str, str] = field(default_factory=dict)
    url: str = ""
    cut: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.mixture) == bool(self.suite):
            raise ValueError("give it a mixture or a suite")
        if self.mixture and self.mixture not in (*MIXTURES, TEXT):
            raise ValueError(f"mixture must be one of {', '.join((*MIXTURES, TEXT))}")
        if self.terms not in TERMS:
            raise ValueError(f"terms must be one of {', '.join(TERMS)}")

    @property
    def patterns(self) -> dict[str, str]:
        """Every file pattern -> the folder its files are published in."""
        return dict.fromkeys(self.files, self.url) | self.also
