"""The page Data: reports of the data stages, and the difference to a registered data version."""

import json

import pytest

from tests.dashboard.data_reports import mix_report, task_counts, write_data
from tests.dashboard.factories import HOSTILE, metrics, open_page, plain, table_with, texts
from tests.registry.factories import dataset


def test_page_has_the_numbers_of_every_report(empty_project):
    write_data(empty_project.folder)
    page = open_page("data")
    mixtures = table_with(page, "wanted %")
    assert list(mixtures["mixture"]) == ["muffin", "cot"]
    assert list(mixtures["wanted %"]) == [75, 25]
    assert list(mixtures["realised %"]) == pytest.approx([80, 20])
    assert list(mixtures["cap"]) == [90, 1000]
    assert list(mixtures["tasks above the cap"]) == [2, 0]
    shown = plain(texts(page))
    assert "The largest difference is 5.00 points." in shown
    tasks = table_with(page, "characters").set_index("task")
    assert tasks.loc["qa", ["encoder tokens", "decoder tokens"]].tolist() == [10, 1]
    assert tasks.loc["qa", ["duplicates", "contaminated", "characters"]].tolist() == [12, 4, 20]
    assert tasks.loc["removed", ["examples", "contaminated"]].tolist() == [0, 9]
    assert table_with(page, "lost tokens")["truncated"][0] == 1
    assert "Duplicates: \u206812 exact" not in shown
    assert "12 \u2068exact\u2069, 3 \u2068near\u2069" in shown
    assert "14 rows were dropped, 0 flagged and 6 excluded" in shown
    assert "Quarantine: 3 of 100 rows" in shown
    reasons = table_with(page, "reason")
    assert list(zip(reasons["reason"], reasons["source_file"], reasons["rows"], strict=True)) == [
        ("no target", "a.tsv", 2), (HOSTILE, "b.tsv", 1),
    ]  # fmt: skip
    overlap = table_with(page, "in the sources").iloc[0]
    assert overlap.tolist() == ["s", 30, 2, 1, 1, "qa (4 rows)"]
    assert metrics(page) == {"Smallest recall, word for word": "99.5 %", "Precision": "100.0 %"}
    assert list(table_with(page, "matched %")["matched %"]) == [99.5, 0]
    assert "2 expectations were checked, 1 failed" in shown
    failed = table_with(page, "observed").iloc[0]
    assert failed[["result", "observed"]].tolist() == ["warning", "7 of 9 rows"]
    assert "The registry has no other data version" in shown
    assert not page.warning


def test_pairs_are_paged_and_filtered_by_the_url(empty_project):
    write_data(empty_project.folder)
    page = open_page("data", page="2")
    assert list(table_with(page, "uid")["item"]) == [f"item-{i}" for i in range(50, 60)]
    page = open_page("data", pairs="ITEM-7")
    assert "1 pairs of a row" in texts(page)
    assert list(table_with(page, "uid")["uid"]) == ["u7"]
    page = open_page("data", task="QA")
    assert list(table_with(page, "characters")["task"]) == ["qa"]
    assert "No task matches." in open_page("data", task="zzz").info[0].value


def test_difference_compares_with_the_last_other_data_version(project):
    earlier = mix_report(examples=60, share=0.75, gone=task_counts(5))
    project.register("old", [0.5], dataset=dataset(data_version="v-old", mixture=earlier))
    project.register("new", [0.6], dataset=dataset(data_version="v-new", mixture=mix_report()))
    write_data(project.folder, version="v-new")
    page = open_page("data")
    shown = plain(texts(page))
    assert "From data version v-old" in shown.replace("\u2068", "").replace("\u2069", "")
    assert "80 → 100 examples" in shown
    table = table_with(page, "difference")
    rows = [tuple(row) for row in table[["mixture", "task", "before", "after"]].to_numpy()]
    assert rows == [
        ("muffin", "all", 60, 80), ("muffin", "qa", 60, 80), ("muffin", "gone", 5, 0),
        ("cot", "all", 20, 20),
    ]  # fmt: skip
    assert list(table["share after %"].dropna()) == pytest.approx([80, 20])


def test_registered_versions_are_compared_without_any_file(project):
    for number in (1, 2):
        mix = mix_report(examples=60 + number)
        record = dataset(data_version=f"v{number}", mixture=mix)
        project.register(f"run{number}", [0.5], dataset=record)
    page = open_page("data")
    assert "Run `flanmoe run`" in page.info[0].value
    assert list(table_with(page, "difference")["after"][:2]) == [62, 62]


def test_data_of_a_workspace_is_chosen_in_the_url(empty_project):
    write_data(empty_project.folder / ".flanmoe" / "workspaces" / "try-1")
    page = open_page("data", workspace="try-1")
    assert page.selectbox(key="url-workspace").value == "try-1"
    assert list(table_with(page, "wanted %")["mixture"]) == ["muffin", "cot"]


def test_missing_and_malformed_files_are_a_line_each_and_the_rest_is_shown(empty_project):
    folder = empty_project.folder
    write_data(folder)
    (folder / "data/mixture/self_test.json").unlink()
    (folder / "data/packed/summary.json").write_text("{")
    (folder / "data/validation/results.json").write_text('[{"suite": 1}]')
    (folder / "data/clean/contamination.parquet").write_bytes(b"PAR1")
    (folder / "dvc.lock").write_text("- [")
    page = open_page("data")
    warnings = [plain(entry.value) for entry in page.warning]
    assert warnings[0].startswith("data/packed/summary.json: not JSON")
    assert warnings[1].startswith("data/clean/contamination.parquet: not Parquet")
    assert warnings[2] == "data/mixture/self_test.json: missing; run `flanmoe mix`"
    assert "not as this release writes them" in warnings[3]
    assert list(table_with(page, "wanted %")["realised %"]) == pytest.approx([80, 20])
    assert "the caps are not known" in texts(page)
    (folder / "data/mixture/report.json").write_text(json.dumps(mix_report(share=float("nan"))))
    assert "The largest difference is not finite." in texts(open_page("data"))


def test_data_needs_no_registry(empty_project, monkeypatch):
    write_data(empty_project.folder)
    monkeypatch.setenv("FLANMOE_DATABASE_URL", "postgresql://x@127.0.0.1:9/none")
    page = open_page("data")
    assert "cannot be opened" in page.error[0].value
    assert list(table_with(page, "wanted %")["mixture"]) == ["muffin", "cot"]
    assert texts(page).count("As of 2") == 1


@pytest.mark.e2e
def test_page_has_the_numbers_of_the_data_report(finished_copy, monkeypatch):
    monkeypatch.setenv("FLANMOE_PROJECT_DIR", str(finished_copy.folder))
    monkeypatch.delenv("FLANMOE_DATABASE_URL", raising=False)
    page = open_page("data")
    assert not page.warning
    report = json.loads(finished_copy.invoke("data", "report", "--json").stdout)
    shares = table_with(page, "wanted %").set_index("mixture")
    for name, entry in report["shares"].items():
        assert shares.loc[name, ["wanted %", "realised %"]].tolist() == pytest.approx(
            [100 * entry["target"], 100 * entry["realised"]]
        )
    assert metrics(page)["Precision"] == f"{100 * report['self_test']['precision']:.1f} %"
    tasks = table_with(page, "characters")
    assert len(tasks) == sum(len(entry["tasks"]) for entry in report["mixtures"].values())
