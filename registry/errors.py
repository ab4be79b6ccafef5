"""The exception tree of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.promotion import PromotionReport


class RegistryError(Exception):
    """Base of every expected failure in `registry`; its text is one line for the user."""


class RegistryUnreachable(RegistryError):
    """The database cannot be opened or does not answer."""


class MissingRegistry(RegistryError):
    """The database has no registry, and the command does not create one."""


class UnsupportedRegistry(RegistryError):
    """The database was migrated by a newer release."""


class InvalidRecord(RegistryError):
    """A run or evaluation record does not match its schema or its files."""


class UnknownVersion(RegistryError):
    """The model, version or champion does not exist."""


class UnknownCost(RegistryError):
    """The cost is not one that the frontier supports."""


class InvalidPolicy(RegistryError):
    """The promotion policy cannot be read or has errors; one line per error."""


class NotPermitted(RegistryError):
    """The policy does not permit a person or program to do this."""


class NotPromoted(RegistryError):
    """A version did not become champion; `report` has the results of the gates."""

    def __init__(self, message: str, report: PromotionReport) -> None:
        super().__init__(message)
        self.report = report


class GateFailed(NotPromoted):
    """A version does not pass the promotion gates, or a person's decision forbids it."""


class NeedsEvaluation(NotPromoted):
    """Versions were evaluated on different items; `report.other_items` must be evaluated first."""


class BackupFailed(RegistryError):
    """A copy of the registry differs from it, or its target is not empty."""


class ApprovalRefused(RegistryError):
    """An approval cannot be requested or decided; the text says why."""


class NotComparable(RegistryError):
    """Two evaluations used different items, prompts or scoring versions."""


class InterventionRefused(RegistryError):
    """A person's change of a version is not possible; the text says why."""


class StoreUnavailable(RegistryError):
    """The artifact store cannot be read or written: missing, read-only, full, or no access."""


class MissingArtifact(RegistryError):
    """A file of a version is not in the artifact store."""


class DamagedArtifact(RegistryError):
    """A file of a version does not match its checksum, or its manifest is malformed."""


class InvalidName(RegistryError):
    """The name of a registered model is not usable."""


class InvalidQuery(RegistryError):
    """A condition or sort order is not valid; the text says where and what is expected."""
