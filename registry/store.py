"""The registry as its users see it: register, list, show, promote, history."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from registry import artifacts, promotion
from registry.comparison.frontier import frontier
from registry.comparison.item_set import scored_on
from registry.errors import UnknownVersion
from registry.gates import Gate
from registry.intake import Submission
from registry.params import GateParams
from registry.session import database_url, open_engine, transaction
from registry.tables import Evaluation, Model, Stage, Transition, Version


@dataclass(frozen=True)
class Registry:
    """An open registry. Every method is one transaction."""

    engine: Engine
    artifact_store: Path

    @classmethod
    def open(cls, root: Path, artifact_folder: str = "") -> Registry:
        """The registry of the project at `root`. Raises Unreachable."""
        url = database_url(root)
        return cls(open_engine(url), artifacts.store_folder(root, url, artifact_folder))

    def register(self, model_name: str, submission: Submission) -> dict[str, Any]:
        """Adds the run as a version; the very same result again returns the one there is."""
        folder = artifacts.keep(submission, self.artifact_store)
        with transaction(self.engine) as session:
            model = promotion.lock_model(session, model_name, create=True)
            found = session.scalar(
                select(Version).where(
                    Version.model_id == model.id, Version.digest == submission.digest
                )
            )
            version = found or _add(session, model, submission, folder)
            return describe(version)

    def versions(self, model_name: str | None = None) -> list[dict[str, Any]]:
        """All versions, oldest first; of one model where a name is given."""
        query = select(Version).join(Model).order_by(Model.name, Version.number)
        if model_name is not None:
            query = query.where(Model.name == model_name)
        with transaction(self.engine) as session:
            return [describe(version) for version in session.scalars(query)]

    def show(self, model_name: str, number: int) -> dict[str, Any]:
        """A version with its whole run and evaluation records. Raises UnknownVersion."""
        with transaction(self.engine) as session:
            version = promotion.find(session, model_name, number)
            return {**describe(version), "evaluation": version.evaluation.record}

    def champion(self, model_name: str) -> dict[str, Any]:
        """The champion of a model. Raises UnknownVersion when it has none."""
        for version in self.versions(model_name):
            if version["stage"] == Stage.CHAMPION:
                return version
        raise UnknownVersion(
            f"model {model_name!r} has no champion; `flanmoe run` trains and promotes one"
        )

    def frontier(self, model_name: str, cost: str) -> dict[str, Any]:
        """Accuracy against a cost of COSTS; see registry.comparison.frontier."""
        return frontier(self.versions(model_name), cost)

    def promote(
        self, model_name: str, number: int, gates: GateParams, *, actor: str, override: str = ""
    ) -> list[Gate]:
        """Makes a version the champion. Raises GateFailed unless a reason to override is given."""
        with transaction(self.engine) as session:
            return promotion.promote(
                session, model_name, number, gates, actor=actor, override=override
            )

    def promote_best(
        self, model_name: str, numbers: list[int], gates: GateParams, *, actor: str
    ) -> promotion.Decision:
        """Makes the best of these versions champion, if the gates let it."""
        with transaction(self.engine) as session:
            return promotion.promote_best(session, model_name, numbers, gates, actor=actor)

    def history(self, model_name: str | None = None) -> list[dict[str, Any]]:
        """Every change of stage, oldest first."""
        query = select(Transition).join(Version).join(Model).order_by(Transition.id)
        if model_name is not None:
            query = query.where(Model.name == model_name)
        with transaction(self.engine) as session:
            return [
                {
                    "model": t.version.model.name,
                    "version": t.version.number,
                    "name": t.version.name,
                    "from": t.from_stage,
                    "to": t.to_stage,
                    "at": t.at.isoformat(),
                    "actor": t.actor,
                    "reason": t.reason,
                    "evidence": t.evidence,
                }
                for t in session.scalars(query)
            ]


def describe(version: Version) -> dict[str, Any]:
    """A version as plain data: what `flanmoe registry list --json` prints."""
    score = version.evaluation
    return {
        "model": version.model.name,
        "version": version.number,
        "name": version.name,
        "stage": version.stage,
        "tuned": version.tuned,
        "total_parameters": version.total_parameters,
        "active_parameters": version.active_parameters,
        "flops_per_token": version.flops_per_token,
        "training_flops": version.training_flops,
        "training_seconds": version.training_seconds,
        "accuracy": score.accuracy,
        "error": score.error,
        "chance": score.chance,
        "normalised": score.normalised,
        "partial": score.partial,
        "items": score.items,
        "contaminated": score.record.get("contaminated"),
        "scored_on": scored_on(score.record),
        "flops_per_item": score.record.get("flops_per_item"),
        "seconds_per_item": score.record.get("seconds_per_item"),
        "tasks": [
            {key: task.get(key, task["task"]) for key in ("task", "suite", "unit")}
            for task in score.record["tasks"]
        ],
        "data_warnings": score.record.get("data_warnings", []),
        "created_at": version.created_at.isoformat(),
        "artifact": version.artifact,
        "run_record": version.run_record,
    }


def _add(session: Session, model: Model, submission: Submission, folder: Path) -> Version:
    newest = session.scalar(select(func.max(Version.number)).where(Version.model_id == model.id))
    run, scores = submission.run, submission.evaluation
    version = Version(
        model=model,
        number=(newest or 0) + 1,
        name=run.name,
        digest=submission.digest,
        stage=Stage.CANDIDATE,
        tuned=run.tuned,
        total_parameters=run.total_parameters,
        active_parameters=run.active_parameters,
        flops_per_token=run.flops_per_token,
        training_flops=run.training_flops,
        training_seconds=run.training_seconds,
        run_record=run.model_dump(mode="json"),
        artifact=str(folder),
        evaluation=Evaluation(
            accuracy=scores.accuracy,
            error=scores.error,
            chance=scores.chance,
            normalised=scores.normalised,
            partial=scores.partial,
            items=scores.items,
            record=scores.model_dump(mode="json"),
        ),
    )
    session.add(version)
    session.flush()
    session.add(promotion.transition(version, None, Stage.CANDIDATE, "registry", "registered", []))
    return version
