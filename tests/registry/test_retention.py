"""Retention removes weights that nothing protects, and nothing else."""

import json

import pytest

from registry.artifacts.garbage import GRACE_S
from registry.errors import MissingArtifact, StoreUnavailable
from registry.history import EventKind
from registry.intake import read_submission
from registry.retention import RetentionRules
from registry.session import open_engine
from registry.store import Registry
from tests.registry.artifacts.factories import make_older, stored_keys

NOTHING = RetentionRules(keep=0, older_than_days=0, champions=0)


@pytest.fixture
def filled(registry, submit):
    """Register six versions, of which 1 and 2 were champion and 3 is, all old enough."""
    for number in range(1, 7):
        registry.register("m", submit(f"run{number}", 0.4 + number / 20))
    for number in (1, 2, 3):
        registry.promote("m", number, actor="test")
    make_older(registry.artifacts, GRACE_S + 1)
    return registry


def removed(registry, **rules):
    rules = RetentionRules(**{"keep": 0, "older_than_days": 0, "champions": 0, **rules})
    return [v.version for v in registry.collect_garbage(rules, actor="cron").versions]


def test_only_the_champion_has_weights_without_other_rules(filled):
    assert removed(filled) == [1, 2, 4, 5, 6]
    assert (filled.model_folder(filled.champion("m")) / "weights").is_dir()
    assert removed(filled) == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"keep": 2}, [1, 2, 4]),
        ({"champions": 1}, [1, 2, 4, 5, 6]),
        ({"champions": 2}, [1, 4, 5, 6]),
        ({"champions": 3}, [4, 5, 6]),
        ({"older_than_days": 1}, []),
        ({"keep": 10}, []),
    ],
)
def test_rules_protect_versions(filled, rules, expected):
    assert removed(filled, **rules) == expected


def test_pinned_and_named_versions_are_protected(filled):
    filled.set_pinned("m", 5, True, actor="ann")
    filled.set_alias("m", "demo", 6, actor="ann")
    assert removed(filled) == [1, 2, 4]
    filled.set_pinned("m", 5, False, actor="ann")
    assert removed(filled) == [5]


def test_a_dry_run_reports_and_removes_nothing(filled):
    before, history = stored_keys(filled.artifacts), filled.history()
    planned = filled.collect_garbage(NOTHING, actor="ann", dry_run=True)
    assert stored_keys(filled.artifacts) == before
    assert filled.history() == history
    assert filled.collect_garbage(NOTHING, actor="ann") == planned
    freed = before - stored_keys(filled.artifacts)
    assert planned.num_bytes == sum(v.num_bytes for v in planned.versions) > 0
    assert len(freed) == len(planned.versions) == 5  # the tokenizer is that of the champion, too


def test_evidence_remains_and_the_weights_say_how_to_restore_them(filled, tmp_path):
    assert 4 in removed(filled)
    version = filled.show("m", 4)
    folder = filled.evidence_folder(version)
    assert json.loads((folder / "run.json").read_text())["name"] == "run4"
    assert len(filled.frontier("m", "token").points) == 6
    with pytest.raises(MissingArtifact, match="version 4 of 'm': retention removed its weights on"):
        filled.model_folder(version)
    event = filled.history("m")[-3]
    assert (event.version, event.kind, event.actor) == (4, EventKind.FILES_REMOVED, "cron")
    assert [v.faults for v in filled.verify()] == [()] * 6
    (folder,) = tmp_path.glob("run4-*")
    filled.register("m", read_submission(folder, tmp_path / "tokenizer"))
    assert (filled.model_folder(version) / "weights/model.safetensors").is_file()
    assert filled.removal_note(version) == ""


def test_a_missing_manifest_stops_the_collection(filled):
    digest = filled.show("m", 5).artifact
    filled.artifacts.manifest(digest)
    filled.artifacts.storage.delete(f"manifests/{digest[:2]}/{digest}")
    before = stored_keys(filled.artifacts)
    with pytest.raises(MissingArtifact, match=f"has no artifact {digest}"):
        removed(filled)
    assert stored_keys(filled.artifacts) == before


def test_a_clone_with_a_registry_of_its_own_removes_nothing(filled, submit, tmp_path):
    """Two clones of a project whose params.yaml names the same store."""
    engine = open_engine(f"sqlite:///{tmp_path / 'clone.db'}")
    clone = Registry(engine, filled.artifacts, filled.policy_path)
    assert clone.collect_garbage(NOTHING, actor="cron").num_bytes == 0
    clone.register("m", submit("other", 0.9))
    make_older(filled.artifacts, GRACE_S + 1)
    for registry in (clone, filled):
        with pytest.raises(StoreUnavailable, match="another registry uses it as well"):
            removed(registry)
    assert [v.faults for v in filled.verify()] == [()] * 6
