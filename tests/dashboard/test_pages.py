"""The pages in Streamlit's own test harness; their numbers are those of the commands' JSON."""

import json
import time

import pytest
from sqlalchemy import create_engine, text

from models.training.trainer_lease import hold_lease
from registry.intake import read_submission
from tests.dashboard.factories import (
    HOSTILE,
    metrics,
    open_page,
    plain,
    table_with,
    texts,
    write_log,
)


def test_decision_page_has_the_numbers_of_the_command(project):
    project.register("dense_tuned", [0.5, 0.6])
    page = open_page("decision")
    expected = json.loads(project.command("registry", "summary", "--json"))
    (pair,) = expected["pairs"]
    table = page.dataframe[0].value.iloc[0]
    for name in ("difference", "low", "high"):
        assert table[name] == pytest.approx(100 * pair["partner"][name])
    assert table["memory, MoE ÷ dense"] == pair["partner"]["cost_ratios"]["memory"]
    assert plain(page.success[0].value) == pair["sentence"]
    judged = page.dataframe[1].value
    assert list(judged["tie group"]) == [entry["tie_group"] for entry in expected["judged"]]
    verdicts = [entry["verdict"] for entry in expected["judged"]]
    assert list(judged["gates"]) == [v["outcome"] if v else "not asked" for v in verdicts]
    assert len(page.dataframe[-1].value) == len(expected["changes"])


def test_decision_page_shows_the_champion_beside_a_newer_partial_evaluation(project):
    project.register("smoke", [0.9], partial=True, run={"flops_per_token": 1e5})
    page = open_page("decision")
    assert "★ moe v2" in texts(page)
    assert "smoke" not in set(page.dataframe[1].value["model"])
    assert page.expander[0].label == "Not shown: 1 versions"


def test_decision_page_shows_a_tie_as_a_tie(project):
    project.register("rival", [0.61, 0.8])
    shown = texts(open_page("decision"))
    assert "Tie for the best accuracy" in shown
    assert "none is the winner" in shown


def test_decision_page_without_champion_says_so(empty_project):
    empty_project.register("dense", [0.4])
    page = open_page("decision")
    assert "has no champion" in page.warning[0].value
    assert "nothing to decide yet" in page.info[0].value


def test_frontier_page_has_the_numbers_of_the_command(project):
    project.register("dense_tuned", [0.5, 0.6])
    words = ("registry", "frontier", "--cost", "item", "--score", "suite.sample")
    page = open_page("frontier", cost="item", score="suite.sample", baseline="1")
    expected = json.loads(project.command(*words, "--baseline", "1", "--json"))
    table = page.dataframe[0].value
    for name, column, factor in (
        ("accuracy", "score", 100), ("standard_error", "standard_error", 100), ("cost", "cost", 1),
        ("probability", "probability", 100), ("tie_group", "tie_group", 1),
    ):  # fmt: skip
        values = [factor * point[name] for point in expected["points"]]
        assert list(table[column]) == pytest.approx(values), column
    differences = {p["version"]: p["against_baseline"] for p in expected["points"]}
    assert differences[1] is None
    shown = dict(zip(table["version"], table["against_baseline"], strict=True))
    assert shown[2] == pytest.approx(100 * differences[2]["difference"])
    partners = page.dataframe[1].value
    assert list(partners["dense"]) == ["dense_tuned v3"]


def test_frontier_page_names_what_it_excludes(project):
    page = open_page("frontier", cost="time")
    assert "moe v2: milliseconds per answered item not measured" in texts(page)


def test_frontier_page_names_an_moe_without_partner(project):
    project.register("moe_long", [0.5, 0.6], run={"is_moe": True, "steps": 800})
    assert "moe_long v3: no partner." in texts(open_page("frontier"))


def test_versions_page_lists_what_the_command_lists(project):
    project.register("smoke", [0.9], partial=True)
    assert list(open_page("versions").dataframe[0].value["version"]) == [2, 1]
    assert list(open_page("versions", partial="true").dataframe[0].value["version"]) == [3, 2, 1]
    page = open_page("versions", where="moe and score > 30", sort="-score")
    words = ("registry", "list", "--where", "moe and score > 30", "--json")
    expected = json.loads(project.command(*words))
    table = page.dataframe[0].value
    assert list(table["version"]) == [version["version"] for version in expected]
    assert list(table["accuracy %"]) == [100 * version["accuracy"] for version in expected]
    score = expected[0]["scores"]["score"]
    shown = f"{score['value']:.1f} ({score['low']:.1f} … {score['high']:.1f})"
    assert table["score [95 %]"][0] == shown


def test_versions_page_explains_a_condition_that_is_not_valid(project):
    page = open_page("versions", where="scor > 3")
    assert "did you mean" in page.error[0].value


def test_version_page_has_params_lineage_gates_tasks_and_files(project):
    registry = project.open()
    registry.set_tag("m", 2, "purpose", HOSTILE, actor="ann")
    page = open_page("version", model="m", version="2")
    version = registry.show("m", 2)
    assert len(table_with(page, "gate")) == len(registry.verdicts("m", 2)[-1].gates)
    assert list(table_with(page, "preset")["run"]) == ["moe"]
    assert list(table_with(page, "task")["score %"]) == [60, 80]
    files = registry.artifacts.manifest(version.artifact).files
    assert set(table_with(page, "SHA-256")["SHA-256"]) >= {file.sha256 for file in files}
    assert f"tag purpose: {HOSTILE}" in [element.value for element in page.text]


def test_version_page_shows_the_load_of_each_expert(project):
    layer = {"load": [0.75, 0.25], "drop_share": 0.1, "balanced_drop_share": 0.0,
             "entropy": 0.5, "dead_experts": 0}  # fmt: skip
    run = {"is_moe": True, "router_health": {"encoder.1": layer}}
    project.register("routed", [0.5], run=run)
    table = table_with(open_page("version", version="3"), "expert")
    assert list(zip(table["layer"], table["expert"], table["load"], strict=True)) == [
        ("encoder.1", 0, 1.5), ("encoder.1", 1, 0.5),
    ]  # fmt: skip


def test_version_page_of_an_unknown_version_says_which_exist(project):
    error = open_page("version", version="9").error[0].value
    assert "registered: 1, 2" in plain(error)


def test_pages_show_names_and_reasons_as_plain_text(project):
    project.register(HOSTILE, [0.9, 0.9], folder="hostile")
    for path in ("decision", "frontier", "versions", "version"):
        shown = texts(open_page(path))
        for markup in ("**b**", "<script>", "[l](", ":red[", "$a$"):
            assert markup not in shown.replace("★ **", ""), (path, markup)


def test_empty_registry_says_what_to_run_first(empty_project):
    assert "flanmoe run" in open_page("decision").info[0].value


def test_unreachable_registry_is_an_error_line(empty_project, monkeypatch):
    monkeypatch.setenv("FLANMOE_DATABASE_URL", "postgresql://x@127.0.0.1:9/none")
    assert "cannot be opened" in open_page("decision").error[0].value


def test_newer_registry_is_an_error_line(project):
    open_page("versions")
    database = project.folder / ".flanmoe" / "registry.db"
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert "upgrade flanmoe" in open_page("versions").error[0].value


def test_removed_registry_is_not_created_again(project):
    open_page("versions")
    database = project.folder / ".flanmoe" / "registry.db"
    database.unlink()
    assert "flanmoe run" in open_page("versions").info[0].value
    assert not database.exists()


def test_locked_registry_is_an_error_line_within_seconds(project):
    database = project.folder / ".flanmoe" / "registry.db"
    engine = create_engine(f"sqlite:///{database}")
    open_page("versions")
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        assert "is locked" in open_page("versions").error[0].value


def test_interaction_without_a_change_queries_the_revision_only(project, statements):
    open_page("decision")
    with statements() as executed:
        open_page("decision")
    (revision,) = [line for line in executed if line != "BEGIN"]
    assert "max(events.id)" in revision
    project.open().add_note("m", 2, "news", actor="ann")
    with statements() as executed:
        open_page("decision")
    selects = [line for line in executed if line.startswith("SELECT")]
    assert 3 < len(selects) <= 10
    assert {*executed} - {*selects} <= {"BEGIN"}  # no write lock


def test_training_page_follows_a_run_in_progress(empty_project):
    folder = empty_project.folder / ".flanmoe/workspaces/try/.flanmoe/checkpoints/big"
    warning = "encoder: 2 of 8 experts get no token"
    now = {"time": time.time()}
    write_log(folder, [{"warnings": [warning], **now}], incomplete='{"step": 40, "lo')
    with hold_lease(folder.with_name("big.lease")):
        page = open_page("training")
        assert metrics(page)["Loss"] == "2.500"
        assert metrics(page)["MFU"] == "41%"
        assert metrics(page)["Max expert load"] == "1.50 ×"
        assert page.multiselect(key="runs").value == ["try/big"]
        assert warning in plain(page.warning[0].value)
        write_log(folder, [{"step": 40, "loss": 1.5, **now}])
        page.run()
        assert metrics(page)["Loss"] == "1.500"
    assert metrics(open_page("training")) == {}  # stopped: nothing looks alive


@pytest.mark.e2e
def test_data_warnings_are_shown_with_the_version_they_concern(finished_copy, monkeypatch):
    folder = finished_copy.folder
    path = folder / "data/validation/results.json"
    findings = json.loads(path.read_text())
    findings[0] |= {"success": False, "blocking": False, "observed": "7 of 9 rows"}
    path.unlink()  # the file may be a link into DVC's cache
    path.write_text(json.dumps(findings))
    assert finished_copy.invoke("evaluate", "moe_instruct").returncode == 0
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(folder))
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    submission = read_submission(folder / "runs/moe_instruct/seed_0", folder / "data/tokenizer")
    from registry.store import Registry

    Registry.open(folder).register("warned", submission)
    page = open_page("version", model="warned")
    expander = next(box for box in page.expander if box.label == "Data warnings: 1")
    assert findings[0]["suite"] in expander.text[0].value
    assert "7 of 9 rows" in expander.text[0].value


def test_compare_page_has_the_numbers_of_the_command(project):
    for seed in (1, 2):
        changes = {"seed": seed, "is_moe": True}
        project.register("moe", [0.6, 0.8 + seed / 50], run=changes, folder=f"moe{seed}")
    page = open_page("compare", a="4", b="1", clean="true")
    expected = json.loads(project.command("compare", "v4,v3,v2", "v1", "--clean", "--json"))
    for i, rows in enumerate((expected["suites"], expected["tasks"])):
        table = page.dataframe[i].value
        assert list(table["difference"]) == pytest.approx([100 * row["difference"] for row in rows])
        assert list(table["high"]) == pytest.approx([100 * row["high"] for row in rows])
        for column in ("verdict", "basis"):
            assert list(table[column]) == [row[column] for row in rows]
        corrected = [row["p_corrected"] for row in rows]
        assert list(table["p, corrected"]) == pytest.approx(corrected)
    ratios = [cost["ratio"] for cost in expected["costs"].values()]
    assert list(table_with(page, "A ÷ B")["A ÷ B"]) == pytest.approx(ratios)
    paths = [difference["path"] for difference in expected["param_differences"]]
    assert list(table_with(page, "parameter")["parameter"]) == paths


def test_samples_page_has_the_items_of_the_command(project):
    page = open_page("samples", a="2", b="1", right="only A right", task="sample/t0")
    words = ("registry", "samples", 2, 1, "--right", "a", "--task", "sample/t0")
    expected = json.loads(project.command(*words, "--json"))
    assert metrics(page) == {kind: f"{count:,}" for kind, count in expected["counts"].items()}
    assert f"{expected['num_matches']:,} items match." in texts(page)
    shown = [line.value for line in page.text if " · " in line.value]
    assert shown == [
        f"{pair['task']} · {pair['id']} · {pair['right']}" for pair in expected["pairs"]
    ]


def test_samples_page_goes_to_the_next_page(project):
    page = open_page("samples", a="2", b="1", page="2")
    first = next(line.value for line in page.text if " · " in line.value)
    assert first.startswith("sample/t0 · sample/t0-20 · ")


def test_help_page_has_a_sentence_for_every_term(empty_project):
    shown = texts(open_page("help"))
    assert "**Gate**: A condition that a version must meet to become champion" in shown
    assert shown.count("\n**") > 50
