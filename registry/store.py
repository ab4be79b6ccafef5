"""The registry: register, list, show and promote versions; their frontier and history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, func, select

from registry import interventions, promotion
from registry.approvals import Approvals
from registry.artifacts.garbage import claim_store
from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import (
    artifact_faults,
    evidence_folder,
    model_folder,
    samples_file,
    submission_files,
)
from registry.comparison.frontier import Frontier, compute_frontier
from registry.errors import GateFailed, MissingArtifact, MissingRegistry, UnknownVersion
from registry.history import HistoryEntry, read_history
from registry.intake import Submission
from registry.lookup import (
    find_champion,
    find_model,
    find_version,
    lock_model,
)
from registry.params import GateParams
from registry.query.search import VersionPage, VersionQuery, search_versions
from registry.registration import add_speed, add_version
from registry.retention import (
    CollectionReport,
    RetentionRules,
    collect_garbage,
    describe_removal,
    identify_registry,
)
from registry.session import (
    database_url,
    default_url,
    open_empty,
    open_engine,
    reading,
    transaction,
)
from registry.tables import EventRow, NoteRow, VersionRow
from registry.verification import VerifiedVersion, verify_registry
from registry.versions import VersionInfo, read_versions


@dataclass(frozen=True, kw_only=True)
class Note:
    """A dated remark about a version."""

    author: str
    text: str
    at: datetime


@dataclass(frozen=True)
class Registry:
    """An open registry. Every method is one transaction."""

    engine: Engine
    artifacts: ArtifactStore

    @classmethod
    def open(cls, project: Path, artifacts: str = "", *, create: bool = False) -> Registry:
        """Open a project's registry and migrate it to the newest schema.

        Args:
            project: the project's root.
            artifacts: `registry.artifacts` of params.yaml.
            create: whether to create a registry that does not exist. Without it, the project's own
                registry is then empty and nothing is written.

        Raises:
            RegistryUnreachable: FLANMOE_DATABASE_URL is invalid, or the database does not answer.
            MissingRegistry: without `create`, the database of FLANMOE_DATABASE_URL is empty.
            UnsupportedRegistry: a newer release migrated the database.
            StoreUnavailable: `artifacts` is a URL of an unknown kind.
        """
        url = database_url(project)
        is_own = url == default_url(project)
        if is_own and create:
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        try:
            engine = open_engine(url, create=create)
        except MissingRegistry:
            if not is_own:
                raise
            engine = open_empty()
        return cls(engine, ArtifactStore.open(project, url, artifacts))

    def require_model(self, name: str) -> None:
        """Check that a model is registered.

        Raises:
            UnknownVersion: it is not; the text lists the registered models.
        """
        with reading(self.engine) as session:
            find_model(session, name)

    def register(
        self, model_name: str, submission: Submission, *, check_files: bool = False
    ) -> VersionInfo:
        """Add a run as a version; if it is registered already, return its existing version.

        A time per item that was measured since then is added to the existing version, and files
        that the artifact store lost are stored again.

        Args:
            model_name: the registered model; it is created if it does not exist.
            submission: the finished run.
            check_files: whether to read the files that are stored already, and to replace damaged
                ones.

        Raises:
            StoreUnavailable: the artifact store cannot be written.
        """
        artifact = self.artifacts.put(submission_files(submission), check_existing=check_files)
        with transaction(self.engine) as session:
            model = lock_model(session, model_name, create=True)
            version = session.scalar(
                select(VersionRow).where(
                    VersionRow.model_id == model.id, VersionRow.digest == submission.digest
                )
            )
            if version is None:
                version = add_version(session, model, submission, artifact)
            elif submission.speed is not None and submission.speed.seconds_per_item is not None:
                add_speed(session, version.evaluation, submission.speed)
            info = VersionInfo.from_row(version)
            registry_id = identify_registry(session)
        assert registry_id is not None  # of the version above
        claim_store(self.artifacts, registry_id)
        self.artifacts.replace_legacy(info.artifact, artifact)
        return info

    def versions(
        self, model_name: str | None = None, *, is_current: bool = False
    ) -> list[VersionInfo]:
        """Return the versions of a model, or of all models by name, oldest version first.

        Args:
            model_name: the registered model; None: all.
            is_current: whether to return only champions and the newest version of each run and
                seed.
        """
        with reading(self.engine) as session:
            return read_versions(session, model_name, is_current=is_current)

    def search(self, query: VersionQuery) -> VersionPage:
        """Return a page of the versions that match a query, by default the newest.

        Raises:
            InvalidQuery: the condition, text or sort order is not valid.
            UnknownVersion: the model does not exist.
        """
        with reading(self.engine) as session:
            return search_versions(session, query)

    def show(self, model_name: str, number: int) -> VersionInfo:
        """Return a version.

        Raises:
            UnknownVersion: the model or version does not exist.
        """
        with reading(self.engine) as session:
            model = find_model(session, model_name)
            return VersionInfo.from_row(find_version(session, model, number))

    def champion(self, model_name: str) -> VersionInfo:
        """Return the champion of a model.

        Raises:
            UnknownVersion: the model does not exist or has no champion.
        """
        with reading(self.engine) as session:
            champion = find_champion(session, model_name)
            if champion is not None:
                return VersionInfo.from_row(champion)
        raise UnknownVersion(
            f"model {model_name!r} has no champion; `flanmoe run` trains and promotes one"
        )

    def evidence_folder(self, version: VersionInfo) -> Path:
        """Return a folder with the records and samples of a version, verified.

        Raises:
            MissingArtifact: the artifact store does not have a file.
            DamagedArtifact: a file does not match its checksum.
        """
        return evidence_folder(self.artifacts, version)

    def model_folder(self, version: VersionInfo) -> Path:
        """Return a folder with the weights and the tokenizer of a version, verified.

        Raises:
            MissingArtifact: the artifact store does not have a file; the text says whether
                retention removed it.
            DamagedArtifact: a file does not match its checksum.
        """
        try:
            return model_folder(self.artifacts, version)
        except MissingArtifact as error:
            raise MissingArtifact(self.removal_note(version) or str(error)) from None

    def removal_note(self, version: VersionInfo) -> str:
        """Describe when retention removed the weights of a version; empty if they are there."""
        return describe_removal(self.engine, self.artifacts, version)

    def verify(self, model_name: str | None = None) -> Iterator[VerifiedVersion]:
        """Verify files and records of a model, or of all; see `verification.verify_registry`."""
        return verify_registry(self.engine, self.artifacts, model_name)

    def collect_garbage(
        self, rules: RetentionRules, *, actor: str, dry_run: bool = False
    ) -> CollectionReport:
        """Remove weights that the rules do not retain; see `retention.collect_garbage`."""
        return collect_garbage(self.engine, self.artifacts, rules, actor=actor, dry_run=dry_run)

    def frontier(self, model_name: str, cost: str) -> Frontier:
        """Compute the Pareto frontier of accuracy against a cost of COSTS."""
        return compute_frontier(
            self.versions(model_name, is_current=True), cost, partial(samples_file, self.artifacts)
        )

    def promote(
        self, model_name: str, number: int, gates: GateParams, *, actor: str, override: str = ""
    ) -> promotion.PromotionReport:
        """Make a version champion; see `promotion.promote_version`.

        Raises:
            GateFailed: it was refused; the refusal is recorded.
            UnknownVersion: the model or version does not exist.
        """
        with transaction(self.engine) as session:
            report = promotion.promote_version(
                session,
                model_name,
                number,
                gates,
                self.artifacts,
                actor=actor,
                override=override,
            )
        if report.outcome == "refused":
            raise GateFailed(f"version {number} of {model_name!r} is not promoted: {report.reason}")
        return report

    def promote_best(
        self, model_name: str, numbers: Sequence[int], gates: GateParams, *, actor: str
    ) -> promotion.PromotionDecision:
        """Make the best of these versions champion if it passes the gates."""
        with transaction(self.engine) as session:
            return promotion.promote_best(
                session, model_name, numbers, gates, self.artifacts, actor=actor
            )

    def roll_back(
        self, model_name: str, *, actor: str, reason: str, expected: int | None = None
    ) -> tuple[int, int | None]:
        """Make the previous champion champion again; see `interventions.roll_back`."""
        with transaction(self.engine) as session:
            return interventions.roll_back(
                session,
                model_name,
                actor=actor,
                reason=reason,
                is_intact=self._is_intact,
                expected=expected,
            )

    def reject(self, model_name: str, number: int, *, actor: str, reason: str) -> None:
        """Reject a version; see `interventions.reject`."""
        with transaction(self.engine) as session:
            interventions.reject(session, model_name, number, actor=actor, reason=reason)

    def reinstate(self, model_name: str, number: int, *, actor: str, reason: str) -> None:
        """Undo a rejection; see `interventions.reinstate`."""
        with transaction(self.engine) as session:
            interventions.reinstate(session, model_name, number, actor=actor, reason=reason)

    def set_pinned(
        self, model_name: str, number: int, is_pinned: bool, *, actor: str, reason: str = ""
    ) -> None:
        """Pin or unpin a version; see `interventions.set_pinned`."""
        with transaction(self.engine) as session:
            interventions.set_pinned(
                session, model_name, number, is_pinned, actor=actor, reason=reason
            )

    def set_alias(self, model_name: str, alias: str, number: int | None, *, actor: str) -> None:
        """Set or remove an alias; see `interventions.name_version`."""
        with transaction(self.engine) as session:
            interventions.name_version(session, model_name, alias, number, actor=actor)

    def set_tag(
        self, model_name: str, number: int, key: str, value: str | None, *, actor: str
    ) -> None:
        """Set or remove a tag; see `interventions.set_tag`."""
        with transaction(self.engine) as session:
            interventions.set_tag(session, model_name, number, key, value, actor=actor)

    def describe(self, model_name: str, number: int | None, text: str, *, actor: str) -> None:
        """Describe a version or a model; see `interventions.describe`."""
        with transaction(self.engine) as session:
            interventions.describe(session, model_name, number, text, actor=actor)

    def add_note(self, model_name: str, number: int, text: str, *, actor: str) -> None:
        """Add a remark to a version; see `interventions.add_note`."""
        with transaction(self.engine) as session:
            interventions.add_note(session, model_name, number, text, actor=actor)

    @property
    def approvals(self) -> Approvals:
        """Requests for approval of promotions, and their decisions."""
        return Approvals(self.engine)

    def notes(self, model_name: str, number: int) -> list[Note]:
        """Return the remarks about a version, oldest first."""
        with reading(self.engine) as session:
            version = find_version(session, find_model(session, model_name), number)
            query = select(NoteRow).where(NoteRow.version_id == version.id).order_by(NoteRow.id)
            return [
                Note(author=row.author, text=row.text, at=row.at) for row in session.scalars(query)
            ]

    def revision(self) -> int:
        """Return the sequence number of the last change, for caches of what was read."""
        with reading(self.engine) as session:
            return session.scalar(select(func.max(EventRow.id))) or 0

    def history(
        self, model_name: str | None = None, *, limit: int | None = None
    ) -> list[HistoryEntry]:
        """Return the changes of a model, or of all models, in order.

        Args:
            model_name: the registered model; None: all.
            limit: return the last changes only; None: every change.
        """
        with reading(self.engine) as session:
            return read_history(session, model_name, limit)

    def _is_intact(self, version: VersionRow) -> bool:
        return not artifact_faults(self.artifacts, VersionInfo.from_row(version))
