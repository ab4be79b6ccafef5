"""The registry: read, register, evaluate and promote versions, and record decisions about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from registry import interventions
from registry.approvals import Approvals
from registry.artifacts.garbage import claim_store
from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import (
    EVALUATION_RECORDS,
    artifact_faults,
    submission_files,
)
from registry.database_url import database_url, default_url
from registry.errors import (
    GateFailed,
    MissingRegistry,
    NeedsEvaluation,
)
from registry.gates.result import GateOutcome
from registry.intake import Submission, read_further_evaluation
from registry.lookup import find_version, lock_model
from registry.policy_file import POLICY_FILE
from registry.promoter import Promoter
from registry.promotion import PromotionDecision, PromotionReport
from registry.reader import RegistryReader
from registry.registration import add_evaluation, add_speed, add_version
from registry.retention import (
    CollectionReport,
    RetentionRules,
    collect_garbage,
    identify_registry,
)
from registry.session import (
    WRITE_TIMEOUT_S,
    open_empty,
    open_engine,
    transaction,
)
from registry.tables import VersionRow
from registry.verification import VerifiedVersion, record_verification, verify_registry
from registry.versions import VersionInfo


@dataclass(frozen=True)
class Registry(RegistryReader):
    """An open registry. Every method is one transaction."""

    @classmethod
    def open(
        cls,
        project: Path,
        artifacts: str = "",
        *,
        policy_path: Path | None = None,
        create: bool = False,
        wait_s: float = WRITE_TIMEOUT_S,
    ) -> Registry:
        """Open a project's registry and migrate it to the newest schema.

        Args:
            project: the project's root.
            artifacts: `registry.artifacts` of params.yaml.
            policy_path: file of the promotion policy; None: policy.yaml of the project.
            create: whether to create a registry that does not exist. Without it, the project's own
                registry is then empty and nothing is written.
            wait_s: how long a statement waits for another process that has locked the database.

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
            engine = open_engine(url, create=create, wait_s=wait_s)
        except MissingRegistry:
            if not is_own:
                raise
            engine = open_empty()
        store = ArtifactStore.open(project, url, artifacts)
        return cls(engine, store, policy_path or project / POLICY_FILE)

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

    def add_evaluation(self, model_name: str, number: int, folder: Path) -> VersionInfo:
        """Add a further evaluation of a version; it counts from now on.

        Args:
            model_name: the registered model.
            number: the evaluated version.
            folder: folder with evaluation.json and samples.parquet.

        Raises:
            InvalidRecord: a record is malformed, or of other weights.
        """
        expected = self.show(model_name, number).run_record.weights_sha256
        record, speed = read_further_evaluation(folder, expected)
        artifact = self.artifacts.put({name: folder / name for name in EVALUATION_RECORDS})
        with transaction(self.engine) as session:
            version = find_version(session, lock_model(session, model_name), number)
            if version.evaluation.samples_sha256 != record.samples_sha256:
                add_evaluation(session, version, record, speed, artifact)
            return VersionInfo.from_row(version)

    def verify(
        self, model_name: str | None = None, *, actor: str | None = None
    ) -> Iterator[VerifiedVersion]:
        """Verify files and records of a model, or of all; see `verification.verify_registry`.

        Args:
            model_name: the registered model; None: all.
            actor: person or program under whose name the result is recorded in the history of each
                model, once every version is verified; None: it is not recorded.
        """
        num_faults: dict[str, list[int]] = {}
        for version in verify_registry(self.engine, self.artifacts, model_name):
            num_faults.setdefault(version.model, []).append(len(version.faults))
            yield version
        if actor is not None and num_faults:
            with transaction(self.engine) as session:
                record_verification(session, num_faults, actor=actor)

    def collect_garbage(
        self, rules: RetentionRules, *, actor: str, dry_run: bool = False
    ) -> CollectionReport:
        """Remove weights that the rules do not retain; see `retention.collect_garbage`."""
        return collect_garbage(self.engine, self.artifacts, rules, actor=actor, dry_run=dry_run)

    def promote(
        self, model_name: str, number: int, *, actor: str, override: str = ""
    ) -> PromotionReport:
        """Make a version champion; see `Promoter.promote`.

        Raises:
            GateFailed: it was refused; the refusal is recorded.
            NeedsEvaluation: it was evaluated on other items than the champion.
        """
        report = self._promoter.promote(model_name, number, actor=actor, override=override)
        line = f"version {number} of {model_name!r} is not promoted: {report.reason}"
        if report.outcome == GateOutcome.REFUSED:
            raise GateFailed(line, report)
        if report.outcome == GateOutcome.NEEDS_EVALUATION:
            raise NeedsEvaluation(line, report)
        return report

    def preview(self, model_name: str, number: int, *, override: str = "") -> PromotionReport:
        """Return what `promote` would decide; see `Promoter.preview`."""
        return self._promoter.preview(model_name, number, override=override)

    def promote_best(
        self, model_name: str, numbers: Sequence[int], *, actor: str
    ) -> PromotionDecision:
        """Promote the versions that replace the champion; see `Promoter.promote_best`."""
        return self._promoter.promote_best(model_name, numbers, actor=actor)

    @property
    def approvals(self) -> Approvals:
        """Requests for approval of promotions, and their decisions."""
        return Approvals(self.engine, self._promoter.require_person)

    @property
    def _promoter(self) -> Promoter:
        return Promoter(engine=self.engine, artifacts=self.artifacts, policy_path=self.policy_path)

    def roll_back(
        self, model_name: str, *, actor: str, reason: str, expected: int | None = None
    ) -> tuple[int, int | None]:
        """Make the previous champion champion again; see `interventions.roll_back`."""
        self._promoter.require_person(model_name, actor, "roll back")
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
        self._promoter.require_person(model_name, actor, "reject")
        with transaction(self.engine) as session:
            interventions.reject(session, model_name, number, actor=actor, reason=reason)

    def reinstate(self, model_name: str, number: int, *, actor: str, reason: str) -> None:
        """Undo a rejection; see `interventions.reinstate`."""
        self._promoter.require_person(model_name, actor, "reinstate")
        with transaction(self.engine) as session:
            interventions.reinstate(session, model_name, number, actor=actor, reason=reason)

    def set_pinned(
        self, model_name: str, number: int, is_pinned: bool, *, actor: str, reason: str = ""
    ) -> None:
        """Pin or unpin a version; see `interventions.set_pinned`."""
        self._promoter.require_person(model_name, actor, "pin")
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

    def _is_intact(self, version: VersionRow) -> bool:
        return not artifact_faults(self.artifacts, VersionInfo.from_row(version))
