"""One source of the catalog: its files, licence and format."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from data_pipelines.params import LicenceTerms, Mixture

RENAMED_FIELDS = {"also": "additional_files", "cut": "truncated_files"}
"""Former field of a catalog entry -> its present name."""
RENAMED_OPTIONS = {"composes": "allow_exemplars"}
"""Former key of `options` -> its present name."""


@dataclass(frozen=True, kw_only=True, config={"extra": "forbid"})
class Source:
    """One entry of the catalog; the head of catalog.yaml describes each field."""

    format: str
    files: tuple[str, ...]
    licence: str
    terms: LicenceTerms
    mixture: Literal[Mixture, "text", ""] = ""
    suite: str = ""
    additional_files: dict[str, str] = field(default_factory=dict)
    url: str = ""
    truncated_files: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    num_items: dict[str, int] = field(default_factory=dict)
    num_items_source: str = ""

    def __post_init__(self) -> None:
        if bool(self.mixture) == bool(self.suite):
            raise ValueError("exactly one of mixture and suite is required")
        if (self.splits or self.num_items) and not self.suite:
            raise ValueError("splits and num_items are fields of evaluation suites")
        if self.num_items and not self.num_items_source:
            raise ValueError("num_items needs num_items_source, which states where they are from")
        for former, present in RENAMED_OPTIONS.items():
            if former in self.options:
                raise ValueError(f"options.{former}: unknown option; renamed to {present!r}")

    @property
    def url_by_pattern(self) -> dict[str, str]:
        """Glob pattern of every file -> the folder in which its files are published."""
        return dict.fromkeys(self.files, self.url) | self.additional_files
