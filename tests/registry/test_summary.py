"""The summary that a lead decides from."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from registry.errors import GateFailed
from registry.history import EventKind
from registry.speed_schema import SpeedSchema
from tests.registry.factories import speed_record


def test_summary_has_champion_challengers_and_their_last_verdicts(registry, submit):
    registry.register("m", submit("dense", 0.4))
    registry.register("m", submit("moe", 0.6))
    registry.promote("m", 2, actor="ann")
    with suppress(GateFailed):
        registry.promote("m", 1, actor="ann")
    registry.register("m", submit("new", 0.2))
    registry.reject("m", 3, actor="ann", reason="a trial")
    summary = registry.summary("m")
    assert summary.champion is not None
    assert summary.champion.point.version == 2
    assert summary.judged[0].point.version == 2
    judged = {entry.point.version: entry for entry in summary.judged}
    for number in (1, 2):
        assert judged[number].verdict == registry.verdicts("m", number)[-1]
    assert judged[3].verdict is None
    assert [number for number, entry in judged.items() if entry.point.is_rejected] == [3]
    assert judged[1].failed_gates == [
        gate.name for gate in registry.verdicts("m", 1)[-1].gates if not gate.passed
    ]


def test_summary_changes_are_those_of_the_period_newest_first(registry, submit):
    registry.register("m", submit("dense", 0.4))
    registry.add_note("m", 1, "seen", actor="ann")
    kinds = [entry.kind for entry in registry.summary("m").changes]
    assert kinds == [EventKind.NOTED, EventKind.REGISTERED]
    assert registry.summary("m", period=timedelta(0)).changes == ()


def test_models_are_listed_with_the_newest_registration_first(registry, submit):
    for model, name in (("old", "a"), ("new", "b"), ("old", "c")):
        registry.register(model, submit(name, 0.4))
    models = [(model.name, model.num_versions, model.newest) for model in registry.models()]
    assert models == [("old", 2, 2), ("new", 1, 1)]


def test_revision_changes_when_a_time_is_measured_again(registry, submit):
    submission = submit("a", 0.4)
    registry.register("m", submission)
    revision = registry.revision()
    timed = replace(submission, speed=SpeedSchema.model_validate(speed_record(0.5)))
    registry.register("m", timed)
    assert registry.revision() > revision
    assert registry.history("m")[-1].kind is EventKind.TIMED
    revision = registry.revision()
    registry.register("m", timed)
    assert registry.revision() == revision
