"""`flanmoe registry promote` and `show` on a registry whose versions a test chooses."""

import json
import shutil

import pytest

from registry.intake import read_submission
from registry.store import Registry
from tests.factories import ROOT, error_line, invoke
from tests.registry.factories import (
    dataset,
    evaluation_record,
    run_record,
    task_score,
    write_policy,
    write_run,
)
from tests.registry.release_0_1_0 import copy_release_0_1_0

MODEL = "flan-sample"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PERSON = {"LOGNAME": "ann"}

DRY_RUN = """\
promotion policy: PROJECT/policy.yaml (sha256 SHA256)
  passed  artifact_intact: every file has its checksum
  passed  record_consistent: every score follows from the samples
  passed  code_committed: commit 0123456789ab
  passed  data_validated: 0 of 20 expectations failed
  passed  licences_allowed: 0 sources (none); allowed: open, share-alike, non-commercial, unstated
  passed  uncontaminated: 0 of 400 items of s, the suite that is closest to its limit, overlap \
with the training mixture; maximum 0.0%
  passed  contamination_recall: smallest recall of a kind 1.0000 on planted overlaps, minimum 0.95
  passed  contamination_precision: precision 1.0000 on planted overlaps, minimum 0.99
  passed  enough_items: 400 items, minimum 200
  passed  suites_complete: s: all tasks and items
  passed  flops_per_token: 1e+06 FLOPs, no budget
  passed  flops_per_item: 5e+07 FLOPs, no budget
  passed  router_drop_share: dense: no router
  passed  router_dead_experts: dense: no router
  passed  router_entropy: dense: no router
  passed  champion_readable: item scores of version 1
  passed  same_precision: evaluated in float32 on cpu, version 1 in float32 on cpu; rounding error \
0, maximum 1e-06
  passed  same_items: same items as version 1, in 1 tasks
  passed  no_suite_worse: s, the worst of 1 suites: +0.5 points against version 1 (95 % interval \
-0.7 … +1.7; 400 items only: one seed, no interval over seeds); a loss of more than 2 points is \
refused if it is shown (p = 1, limit 0.05); a loss of 3.9 points is shown in 80 % of cases
  FAILED  better_or_cheaper: version 2 is not worse by 1 points, +0.50 points against version 1 \
(-0.65 … +1.65; 400 items only: one seed, no interval over seeds), but undecided: it is not \
cheaper (1 times the FLOPs per item, 1 times the parameters); level 0.025, test 1 against this \
champion
version 2 of 'flan-sample' would change nothing: better_or_cheaper: version 2 is not worse by 1 \
points, +0.50 points against version 1 (-0.65 … +1.65; 400 items only: one seed, no interval over \
seeds), but undecided: it is not cheaper (1 times the FLOPs per item, 1 times the parameters); \
level 0.025, test 1 against this champion
dry run: nothing was changed
"""


@pytest.fixture
def project(tmp_path):
    """A project with three versions, of which the first is champion."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    write_policy(folder)
    registry = Registry.open(folder, create=True)
    for name, accuracy, num_items in (("a", 0.6, 400), ("b", 0.605, 400), ("c", 0.6, 100)):
        register(registry, tmp_path, name, accuracy, num_items=num_items)
    registry.promote(MODEL, 1, actor="ann")
    return folder


def register(registry, folder, name, accuracy, **task):
    tasks = [task_score(accuracy=accuracy, **task)]
    write_run(
        folder / name,
        folder / "tokenizer",
        run=run_record(name, git_commit=COMMIT),
        evaluation=evaluation_record(name, tasks),
    )
    submission = read_submission(folder / name, folder / "tokenizer")
    object.__setattr__(submission, "dataset", dataset())
    return registry.register(MODEL, submission)


def promote(project, *words, **environment):
    return invoke("registry", "promote", *words, cwd=project, **{**PERSON, **environment})


def test_dry_run_shows_every_gate_with_its_numbers_and_changes_nothing(project):
    registry = Registry.open(project)
    revision = registry.revision()
    result = promote(project, 2, "--dry-run")
    digest = result.stdout.partition("(sha256 ")[2][:12]
    expected = DRY_RUN.replace("PROJECT", str(project)).replace("SHA256", digest)
    assert result.stdout == expected
    assert (result.returncode, result.stderr) == (3, "")
    assert registry.revision() == revision
    assert registry.verdicts(MODEL, 2) == []


@pytest.mark.parametrize(
    ("version", "code", "line"),
    [
        (1, 3, "version 1 of 'flan-sample' changes nothing: it is champion already"),
        (2, 3, "version 2 of 'flan-sample' changes nothing: better_or_cheaper: "),
        (3, 4, "version 3 of 'flan-sample' is refused: enough_items: 100 items, minimum 200"),
    ],
)
def test_exit_code_tells_unchanged_and_refused_apart(project, version, code, line):
    result = promote(project, version)
    assert (result.returncode, result.stderr) == (code, "")
    assert result.stdout.splitlines()[-1].startswith(line)


def test_promoted_version_exits_with_0(project, tmp_path):
    register(Registry.open(project), tmp_path, "better", 0.8)
    dry = promote(project, 4, "--dry-run")
    assert dry.returncode == 0
    assert "version 4 of 'flan-sample' would become champion: all gates passed" in dry.stdout
    result = promote(project, 4)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("version 4 of 'flan-sample' is champion: all gates passed\n")


def test_json_has_the_numbers_of_every_gate(project):
    content = json.loads(promote(project, 3, "--dry-run", "--json").stdout)
    assert (content["outcome"], content["dry_run"], content["version"]) == ("refused", True, 3)
    gates = {gate["name"]: gate for gate in content["gates"]}
    assert gates["enough_items"] == {
        "name": "enough_items", "passed": False, "detail": "100 items, minimum 200",
        "value": 100, "limit": 200,
    }  # fmt: skip


def test_override_is_for_listed_people_with_a_reason(project):
    line = error_line(promote(project, 3, "--override", "demo", LOGNAME="bob"))
    assert "'bob' may not override gates" in line
    assert promote(project, 3, "--override", "  ").returncode == 4
    result = promote(project, 3, "--override", "demo")
    assert result.returncode == 0
    assert result.stdout.endswith("is champion: override: demo\n")


def test_show_has_the_last_verdict_and_why_a_version_was_refused(project):
    promote(project, 3)
    shown = invoke("registry", "show", 3, cwd=project).stdout
    assert "by ann, compared with version 1, policy " in shown
    assert ": refused\n" in shown
    assert "  FAILED  enough_items: 100 items, minimum 200\n" in shown
    content = json.loads(invoke("registry", "show", 3, "--json", cwd=project).stdout)
    (verdict,) = content["verdicts"]
    assert (verdict["outcome"], verdict["champion"], verdict["actor"]) == ("refused", 1, "ann")


def test_invalid_policy_is_an_error_of_promote_and_check_but_not_of_list(project):
    (project / "policy.yaml").write_text("data: {max_contaminated_shar: 0.1}")
    for words in (("promote", 2), ("promote", 2, "--dry-run")):
        line = error_line(invoke("registry", *words, cwd=project))
        assert "data.max_contaminated_shar: unknown key; did you mean" in line
    assert "policy.yaml: data.max_contaminated_shar" in error_line(invoke("check", cwd=project))
    assert invoke("registry", "list", cwd=project).returncode == 0


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("evaluation: {required_suites: [mmlu_dircet]}", "evaluation.required_suites"),
        (
            "models: {m: {comparison: {max_suite_loss_by_suite: {mmlu_dircet: 0}}}}",
            "models.m.comparison.max_suite_loss_by_suite",
        ),
    ],
)
def test_check_rejects_a_suite_that_does_not_exist(project, content, key):
    (project / "policy.yaml").write_text(content)
    line = error_line(invoke("check", cwd=project))
    expected = f"{key}: no suite is called 'mmlu_dircet'; did you mean 'mmlu_direct'? suites are "
    assert f"error: {project / 'policy.yaml'}: {expected}" in line


def test_check_says_which_policy_applies(project):
    assert invoke("check", cwd=project).stdout.endswith(
        f"promotion policy: {project / 'policy.yaml'}\n"
    )
    (project / "policy.yaml").unlink()
    assert invoke("check", cwd=project).stdout.endswith(
        f"promotion policy: built-in defaults ({project / 'policy.yaml'} does not exist)\n"
    )
    assert "promotion policy: built-in defaults" in promote(project, 2, "--dry-run").stdout


def test_project_names_its_policy_and_workspaces_cannot_choose_another(project, tmp_path):
    params = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(
        params.replace("registry:\n", "registry:\n  policy: rules/gates.yaml\n")
    )
    loose = write_policy(project / "rules", evaluation={"min_items": 1})
    loose.rename(project / "rules" / "gates.yaml")
    assert promote(project, 3, "--dry-run").stdout.splitlines()[9].startswith("  passed")
    (project / "other.yaml").write_text(params)
    assert invoke("check", "--params", "other.yaml", cwd=project).returncode == 0
    line = error_line(invoke("run", "--set", "registry.policy=mine.yaml", cwd=project))
    assert line == (
        f"error: params.yaml: registry.policy: 'mine.yaml' is another file than the project's "
        f"({project / 'rules' / 'gates.yaml'}); workspaces use the policy of the project, remove "
        "the key"
    )
    (project / "other.yaml").write_text(
        params.replace("registry:\n", "registry:\n  policy: mine.yaml\n")
    )
    line = error_line(invoke("check", "--params", "other.yaml", cwd=project))
    assert "other.yaml: registry.policy: 'mine.yaml' is another file" in line


def test_version_of_release_0_1_0_is_refused_with_what_is_not_recorded(tmp_path):
    project = copy_release_0_1_0(tmp_path / "old").project
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, project / name)
    result = promote(project, 1, "--dry-run")
    assert result.returncode == 4
    assert "FAILED  data_validated: not recorded: " in result.stdout
    assert "FAILED  licences_allowed: not recorded: release 0.1.0" in result.stdout
