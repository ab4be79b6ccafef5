"""The registry: register, list, show and promote versions; their frontier and history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from registry import artifacts, promotion
from registry.comparison.frontier import Frontier, compute_frontier
from registry.errors import MissingRegistry, UnknownVersion
from registry.gates import GateResult
from registry.history import HistoryEntry, new_transition
from registry.intake import Submission
from registry.params import GateParams
from registry.session import (
    database_url,
    default_url,
    open_empty,
    open_engine,
    transaction,
)
from registry.tables import EvaluationRow, ModelRow, TransitionRow, VersionRow, VersionStage
from registry.versions import VersionInfo


@dataclass(frozen=True)
class Registry:
    """An open registry. Every method is one transaction."""

    engine: Engine
    artifact_store: Path

    @classmethod
    def open(cls, project: Path, artifact_folder: str = "", *, create: bool = False) -> Registry:
        """Open a project's registry and migrate it to the newest schema.

        Args:
            project: the project's root.
            artifact_folder: `registry.artifacts` of params.yaml.
            create: whether to create a registry that does not exist. Without it, the project's own
                registry is then empty and nothing is written.

        Raises:
            RegistryUnreachable: FLANMOE_DATABASE_URL is invalid, or the database does not answer.
            MissingRegistry: without `create`, the database of FLANMOE_DATABASE_URL is empty.
            UnsupportedRegistry: a newer release migrated the database.
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
        return cls(engine, artifacts.artifact_store(project, url, artifact_folder))

    def require_model(self, name: str) -> None:
        """Check that a model is registered.

        Raises:
            UnknownVersion: it is not; the text lists the registered models.
        """
        with transaction(self.engine) as session:
            promotion.lock_model(session, name)

    def register(self, model_name: str, submission: Submission) -> VersionInfo:
        """Add a run as a version; if it is registered already, return its existing version.

        A time per item that was measured since then is added to the existing version.
        """
        folder = artifacts.store_artifacts(submission, self.artifact_store)
        with transaction(self.engine) as session:
            model = promotion.lock_model(session, model_name, create=True)
            version = session.scalar(
                select(VersionRow).where(
                    VersionRow.model_id == model.id, VersionRow.digest == submission.digest
                )
            )
            if version is None:
                version = _add(session, model, submission, folder)
            elif submission.speed is not None and submission.speed.seconds_per_item is not None:
                record, speed = version.evaluation.record, submission.speed.model_dump(mode="json")
                version.evaluation.record = {**record, "speed": speed}
            return VersionInfo.from_row(version)

    def versions(self, model_name: str | None = None) -> list[VersionInfo]:
        """Return the versions of a model, or of all models by name, oldest version first."""
        query = select(VersionRow).join(ModelRow).order_by(ModelRow.name, VersionRow.number)
        if model_name is not None:
            query = query.where(ModelRow.name == model_name)
        with transaction(self.engine) as session:
            return [VersionInfo.from_row(row) for row in session.scalars(query)]

    def show(self, model_name: str, number: int) -> VersionInfo:
        """Return a version.

        Raises:
            UnknownVersion: the model or version does not exist.
        """
        with transaction(self.engine) as session:
            return VersionInfo.from_row(promotion.find_version(session, model_name, number))

    def champion(self, model_name: str) -> VersionInfo:
        """Return the champion of a model.

        Raises:
            UnknownVersion: the model has no champion.
        """
        for version in self.versions(model_name):
            if version.is_champion:
                return version
        raise UnknownVersion(
            f"model {model_name!r} has no champion; `flanmoe run` trains and promotes one"
        )

    def frontier(self, model_name: str, cost: str) -> Frontier:
        """Compute the Pareto frontier of accuracy against a cost of COSTS."""
        return compute_frontier(self.versions(model_name), cost)

    def promote(
        self, model_name: str, number: int, gates: GateParams, *, actor: str, override: str = ""
    ) -> list[GateResult]:
        """Make a version champion; see `promotion.promote_version`."""
        with transaction(self.engine) as session:
            return promotion.promote_version(
                session, model_name, number, gates, actor=actor, override=override
            )

    def promote_best(
        self, model_name: str, numbers: list[int], gates: GateParams, *, actor: str
    ) -> promotion.PromotionDecision:
        """Make the best of these versions champion if it passes the gates."""
        with transaction(self.engine) as session:
            return promotion.promote_best(session, model_name, numbers, gates, actor=actor)

    def history(self, model_name: str | None = None) -> list[HistoryEntry]:
        """Return every change of stage of a model, or of all models, oldest first."""
        query = select(TransitionRow).join(VersionRow).join(ModelRow).order_by(TransitionRow.id)
        if model_name is not None:
            query = query.where(ModelRow.name == model_name)
        with transaction(self.engine) as session:
            return [HistoryEntry.from_row(row) for row in session.scalars(query)]


def _add(session: Session, model: ModelRow, submission: Submission, folder: Path) -> VersionRow:
    last_number = session.scalar(
        select(func.max(VersionRow.number)).where(VersionRow.model_id == model.id)
    )
    run, evaluation = submission.run, submission.evaluation
    version = VersionRow(
        model=model,
        number=(last_number or 0) + 1,
        name=run.name,
        digest=submission.digest,
        stage=VersionStage.CANDIDATE,
        tuned=run.tuned,
        total_parameters=run.total_parameters,
        active_parameters=run.active_parameters,
        flops_per_token=run.flops_per_token,
        training_flops=run.training_flops,
        training_seconds=run.training_seconds,
        run_record=run.model_dump(mode="json"),
        artifact=str(folder),
        evaluation=EvaluationRow(
            accuracy=evaluation.accuracy,
            standard_error=evaluation.standard_error,
            random_score=evaluation.random_score,
            normalised=evaluation.normalised,
            partial=evaluation.partial,
            num_items=evaluation.num_items,
            record={
                **evaluation.model_dump(mode="json"),
                "speed": submission.speed and submission.speed.model_dump(mode="json"),
            },
        ),
    )
    session.add(version)
    session.flush()
    session.add(
        new_transition(
            version,
            VersionStage.CANDIDATE,
            from_stage=None,
            actor="registry",
            reason="registered",
        )
    )
    return version
