"""Decisions of people: programs respect them, and each is recorded."""

import pytest
from sqlalchemy import event

from registry.errors import GateFailed, InterventionRefused, UnknownVersion
from registry.interventions import MAX_TEXT


@pytest.fixture
def url(tmp_path):
    """Use SQLite only: the concurrency tests and the drill repeat these changes on PostgreSQL."""
    return f"sqlite:///{tmp_path / 'registry.db'}"


@pytest.fixture
def champions(registry, submit):
    """A registry in which versions 1, 2 and 3 became champion one after another."""
    for i, accuracy in enumerate((0.5, 0.6, 0.7), 1):
        registry.register("m", submit(accuracy=accuracy))
        registry.promote("m", i, actor="flow")
    return registry


def kinds(registry, number):
    return [entry.kind for entry in registry.history("m") if entry.version == number]


def test_roll_back_restores_the_previous_champion_and_rejects_the_present(champions):
    assert champions.roll_back("m", actor="ann", reason="wrong answers") == (3, 2)
    assert champions.champion("m").version == 2
    assert [v.standing for v in champions.versions("m")] == ["archived", "champion", "rejected"]
    rejected, rolled_back = champions.history("m")[-2:]
    assert (rejected.version, rejected.kind, rejected.actor) == (3, "rejected", "ann")
    assert rejected.reason == "rollback: wrong answers"
    assert (rolled_back.version, rolled_back.kind) == (2, "rolled back")
    assert rolled_back.details == {"from": 3}


def test_roll_back_again_goes_a_step_further(champions):
    champions.roll_back("m", actor="ann", reason="wrong")
    assert champions.roll_back("m", actor="ann", reason="wrong too") == (2, 1)
    assert champions.roll_back("m", actor="ann", reason="all wrong") == (1, None)
    with pytest.raises(UnknownVersion, match="has no champion"):
        champions.champion("m")
    with pytest.raises(InterventionRefused, match="has no champion to roll back"):
        champions.roll_back("m", actor="ann", reason="more")


def test_roll_back_after_a_roll_back_and_a_promotion_returns_to_the_champion_before(
    champions, submit
):
    champions.roll_back("m", actor="ann", reason="wrong")
    champions.register("m", submit(accuracy=0.9))
    champions.promote("m", 4, actor="flow")
    assert champions.roll_back("m", actor="ann", reason="worse") == (4, 2)


def test_roll_back_finds_the_first_champion_behind_a_version_that_was_champion_twice(champions):
    champions.promote("m", 2, actor="ann", override="3 was wrong")
    champions.reject("m", 3, actor="ann", reason="wrong")
    assert champions.roll_back("m", actor="ann", reason="also wrong") == (2, 1)


def test_roll_back_skips_rejected_and_damaged_versions(champions):
    champions.reject("m", 2, actor="ann", reason="bad data")
    assert champions.roll_back("m", actor="ann", reason="wrong") == (3, 1)


def test_roll_back_skips_a_version_without_weights(champions):
    artifact = champions.show("m", 2).artifact
    champions.artifacts.file(artifact, "weights/model.safetensors").unlink()
    assert champions.roll_back("m", actor="ann", reason="wrong") == (3, 1)


@pytest.mark.parametrize("reason", ["", "  \n", "x" * (MAX_TEXT + 1)])
def test_roll_back_without_a_usable_reason_changes_nothing(champions, reason):
    with pytest.raises(InterventionRefused, match="the reason"):
        champions.roll_back("m", actor="ann", reason=reason)
    assert champions.champion("m").version == 3


def test_programs_never_promote_a_rolled_back_version(champions):
    champions.roll_back("m", actor="ann", reason="wrong")
    for _ in range(3):  # three nights
        decision = champions.promote_best("m", [3], actor="flow")
        assert (decision.champion_version, decision.changed) == (2, False)
        assert decision.reason.startswith("version 3 of 'm' is not promoted: a person rejected")
    assert kinds(champions, 3)[-2:] == ["rejected", "refused"]  # the refusal is recorded once
    with pytest.raises(GateFailed, match="reinstate 3"):
        champions.promote("m", 3, actor="ann", override="I want it")
    champions.reinstate("m", 3, actor="ann", reason="was fine")
    assert champions.promote_best("m", [3], actor="flow").champion_version == 3


def test_reject_refuses_the_champion_and_an_empty_reason(champions):
    with pytest.raises(InterventionRefused, match=r"version 3 of 'm' is champion; .*rollback"):
        champions.reject("m", 3, actor="ann", reason="bad")
    with pytest.raises(InterventionRefused, match="reject: the reason is empty"):
        champions.reject("m", 1, actor="ann", reason=" ")
    with pytest.raises(InterventionRefused, match="version 1 of 'm' is not rejected"):
        champions.reinstate("m", 1, actor="ann", reason="why not")


def test_pinned_champion_is_not_replaced(champions, submit):
    champions.set_pinned("m", 3, True, actor="ann", reason="release")
    champions.register("m", submit(accuracy=0.9))
    decision = champions.promote_best("m", [4], actor="flow")
    assert (decision.champion_version, decision.changed) == (3, False)
    assert "champion version 3 is pinned" in decision.reason
    champions.set_pinned("m", 3, False, actor="ann")
    assert champions.promote_best("m", [4], actor="flow").champion_version == 4
    assert "pinned" in kinds(champions, 3)
    assert "unpinned" in kinds(champions, 3)


def test_refused_promotion_is_recorded_with_its_gates(champions, submit):
    champions.register("m", submit(accuracy=0.255))
    with pytest.raises(GateFailed, match="no_suite_worse"):
        champions.promote("m", 4, actor="ann")
    last = champions.history("m")[-1]
    assert (last.version, last.kind, last.actor) == (4, "refused", "ann")
    assert {gate["name"]: gate["passed"] for gate in last.details["gates"]}[
        "no_suite_worse"
    ] is False


def test_aliases_tags_descriptions_and_notes_are_stored(champions):
    champions.set_alias("m", "staging", 1, actor="ann")
    champions.set_alias("m", "staging", 2, actor="ann")
    champions.set_tag("m", 2, "purpose", "trial", actor="ann")
    champions.set_tag("m", 2, "purpose", "<b>demo</b>", actor="ann")
    champions.describe("m", 2, "مرحبا <script>; DROP TABLE versions", actor="ann")
    champions.add_note("m", 2, "first", actor="ann")
    champions.add_note("m", 2, "second", actor="bob")
    version = champions.show("m", 2)
    assert version.aliases == ("staging",)
    assert version.tags == {"purpose": "<b>demo</b>"}
    assert version.description == "مرحبا <script>; DROP TABLE versions"
    notes = champions.notes("m", 2)
    assert [(note.author, note.text) for note in notes] == [("ann", "first"), ("bob", "second")]
    champions.set_alias("m", "staging", None, actor="ann")
    champions.set_tag("m", 2, "purpose", None, actor="ann")
    version = champions.show("m", 2)
    assert (version.aliases, version.tags) == ((), {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.set_alias("m", "champion", 1, actor="a"), "'champion' is set by"),
        (lambda r: r.set_alias("m", " ", 1, actor="a"), "expected 1 to 200"),
        (lambda r: r.set_alias("m", "a\nb", 1, actor="a"), "expected 1 to 200"),
        (lambda r: r.set_alias("m", "other", None, actor="a"), "has no alias 'other'"),
        (lambda r: r.set_tag("m", 1, "", "v", actor="a"), "expected a key"),
        (lambda r: r.set_tag("m", 1, "k", None, actor="a"), "has no tag 'k'"),
        (lambda r: r.set_tag("m", 1, "k", "x" * 10_000_000, actor="a"), "has 10,000,000 char"),
        (lambda r: r.describe("m", 1, "x" * 10_000_000, actor="a"), "has 10,000,000 characters"),
        (lambda r: r.add_note("m", 1, " ", actor="a"), "the note is empty"),
    ],
)
def test_unusable_names_and_texts_are_refused(champions, change, message):
    num_events = len(champions.history())
    with pytest.raises(InterventionRefused, match=message):
        change(champions)
    assert len(champions.history()) == num_events


def test_changes_advance_the_revision(champions):
    before = champions.revision()
    champions.describe("m", None, "the model", actor="ann")
    assert champions.revision() == before + 1


def test_versions_take_a_fixed_number_of_queries(champions, submit):
    def count_queries():
        statements = []
        event.listen(champions.engine, "before_cursor_execute", listener := record(statements))
        champions.versions("m")
        event.remove(champions.engine, "before_cursor_execute", listener)
        return len(statements)

    def record(statements):
        return lambda *arguments: statements.append(arguments[2])

    few = count_queries()
    for i in range(5):
        champions.register("m", submit(accuracy=0.3 + i / 50))
    assert count_queries() == few
