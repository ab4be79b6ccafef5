"""Reading of finished evaluations."""

from registry.comparison.results import read_result
from tests.registry.factories import edit_samples, write_result


def test_result_has_the_cluster_of_each_item(tmp_path):
    write_result(tmp_path / "a", {"s/t": [1, 0, 1], "s/u": [1]})
    edit_samples(
        tmp_path / "a", lambda row: row.update(cluster="p" if row["id"] != "s/t-1" else None)
    )
    items = read_result("a", tmp_path / "a").item_scores
    assert items["s/t"].clusters == ("p", None, "p")
    assert items["s/u"].clusters == ("p",)


def test_items_of_samples_without_the_column_are_in_no_cluster(tmp_path):
    write_result(tmp_path / "a", {"s/t": [1, 0, 1]})
    assert read_result("a", tmp_path / "a").item_scores["s/t"].clusters == (None, None, None)
