"""Reading of the registry: versions, champion, frontier, verdicts and history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, func, select

from registry.artifacts.store import ArtifactStore
from registry.artifacts.version_files import (
    SAMPLES,
    evidence_folder,
    model_folder,
    samples_file,
)
from registry.comparison.compare import Comparison, ComparisonConfig, compare
from registry.comparison.frontier import Frontier, compute_frontier
from registry.comparison.results import EvaluationResult, read_result
from registry.comparison.sample_pairs import SampleFilter, SamplePage, pair_samples
from registry.comparison.scores import OVERALL
from registry.datasets import RegisteredDataset, list_datasets
from registry.errors import (
    MissingArtifact,
    UnknownVersion,
)
from registry.history import EventKind, HistoryEntry, read_history
from registry.interventions import Note, read_notes
from registry.lookup import (
    ModelOverview,
    find_champion,
    find_model,
    find_version,
    list_models,
)
from registry.policy_file import load_model_policy
from registry.query.search import VersionPage, VersionQuery, search_versions
from registry.retention import (
    describe_removal,
)
from registry.schema import is_newest, read_schema_revision, require_newest_schema
from registry.session import reading
from registry.summary import RECENT, ModelSummary, summarise
from registry.tables import EventRow, utc_now
from registry.verdicts import Verdict, read_last_verdicts, read_verdicts
from registry.versions import VersionInfo, read_versions


@dataclass(frozen=True)
class RegistryReader:
    """An open registry, to read. Every method is one transaction, which takes no write lock."""

    engine: Engine
    artifacts: ArtifactStore
    policy_path: Path | None = None
    """File of the promotion policy; None, or without the file: the built-in defaults."""

    def require_model(self, name: str) -> None:
        """Check that a model is registered.

        Raises:
            UnknownVersion: it is not; the text lists the registered models.
        """
        with reading(self.engine) as session:
            find_model(session, name)

    def models(self) -> list[ModelOverview]:
        """Return the models that have versions, the one with the newest registration first."""
        with reading(self.engine) as session:
            return list_models(session)

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

    def samples_file(self, version: VersionInfo) -> Path | None:
        """Return the samples.parquet of a version's newest evaluation; None if it is not stored."""
        return samples_file(self.artifacts, version)

    def frontier(
        self,
        model_name: str,
        cost: str,
        *,
        score: str = OVERALL,
        items_digest: str = "",
        baseline: int | None = None,
    ) -> Frontier:
        """Compute the Pareto frontier of a score against a cost; see `compute_frontier`."""
        return compute_frontier(
            self.versions(model_name, is_current=True),
            cost,
            self.samples_file,
            score=score,
            items_digest=items_digest,
            baseline=baseline,
        )

    def summary(
        self,
        model_name: str,
        *,
        items_digest: str = "",
        baseline: int | None = None,
        period: timedelta = RECENT,
    ) -> ModelSummary:
        """Return what to decide from: verdicts on pairs, champion, challengers, recent changes.

        Args:
            model_name: the registered model.
            items_digest: see `compute_frontier`.
            baseline: see `compute_frontier`.
            period: age of the oldest change to report.

        Raises:
            InvalidQuery: the items or the baseline do not exist.
            InvalidPolicy: the policy file has errors.
        """
        frontier = self.frontier(model_name, "token", items_digest=items_digest, baseline=baseline)
        numbers = [number for point in frontier.points for number in point.versions]
        since = utc_now() - period
        with reading(self.engine) as session:
            return summarise(
                model_name,
                frontier,
                load_model_policy(self.policy_path, model_name),
                verdicts=read_last_verdicts(session, model_name, numbers),
                changes=read_history(session, model_name, since=since),
                since=since,
            )

    def compare(
        self, model_name: str, a: Sequence[int], b: Sequence[int], config: ComparisonConfig
    ) -> Comparison:
        """Compare two models of a registered model with paired tests; see `compare.compare`.

        Args:
            model_name: the registered model.
            a: versions of the model that the verdicts are about, one per seed.
            b: versions of the model that it is compared with.
            config: suites, margin and significance level.

        Raises:
            UnknownVersion: a version does not exist.
            NotComparable: the versions were not evaluated alike, or a side's are no replicates.
            MissingArtifact: the answers of a version are not stored.
        """

        def read(numbers: Sequence[int]) -> list[EvaluationResult]:
            return [
                read_result(f"v{number}", self.evidence_folder(self.show(model_name, number)))
                for number in numbers
            ]

        return compare(read(a), read(b), config)

    def samples(self, model_name: str, a: int, b: int, criteria: SampleFilter) -> SamplePage:
        """Return the answers of two versions side by side; see `sample_pairs.pair_samples`.

        Args:
            model_name: the registered model.
            a: a version.
            b: another version.
            criteria: which items to return.

        Raises:
            UnknownVersion: a version does not exist.
            MissingArtifact: the answers of a version are not stored.
            InvalidQuery: the filter is not valid.
        """
        file_a, file_b = (
            self.evidence_folder(self.show(model_name, number)) / SAMPLES for number in (a, b)
        )
        return pair_samples(file_a, file_b, criteria)

    def verdicts(self, model_name: str, number: int) -> list[Verdict]:
        """Return the verdicts of the gates about a version, oldest first."""
        with reading(self.engine) as session:
            return read_verdicts(
                session, find_version(session, find_model(session, model_name), number)
            )

    def last_verdicts(self, model_name: str, numbers: Collection[int]) -> dict[int, Verdict]:
        """Return the last verdict about each of some versions; see `read_last_verdicts`."""
        with reading(self.engine) as session:
            return read_last_verdicts(session, model_name, numbers)

    def datasets(self, model_name: str, *, limit: int = 50) -> list[RegisteredDataset]:
        """Return the data versions of a model, the last first; see `list_datasets`."""
        with reading(self.engine) as session:
            return list_datasets(session, model_name, limit)

    def notes(self, model_name: str, number: int) -> list[Note]:
        """Return the remarks about a version, oldest first."""
        with reading(self.engine) as session:
            return read_notes(
                session, find_version(session, find_model(session, model_name), number)
            )

    def revision(self) -> int:
        """Return the sequence number of the last change, for caches of what was read.

        Raises:
            RegistryUnreachable: the database is locked by another process, or gone.
            UnsupportedRegistry: another release migrated the registry since it was opened.
        """
        with reading(self.engine) as session:
            query = select(func.max(EventRow.id), read_schema_revision())
            number, schema_revision = session.execute(query).one()
            if not is_newest(schema_revision):
                require_newest_schema(session.connection())
            return number or 0

    def history(
        self,
        model_name: str | None = None,
        *,
        limit: int | None = None,
        kinds: Collection[EventKind] = (),
    ) -> list[HistoryEntry]:
        """Return the changes of a model, or of all models, in order.

        Args:
            model_name: the registered model; None: all.
            limit: return the last changes only; None: every change.
            kinds: the kinds of changes to return; empty: all.
        """
        with reading(self.engine) as session:
            return read_history(session, model_name, limit, kinds=kinds)
