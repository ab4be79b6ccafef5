"""Evaluation items in this project's own format."""

from data_pipelines.sources.eval_data.items import items
from tests.data_pipelines.sources.factories import json_lines

ITEM = {"id": "a-0", "text": "Q?", "answer": "x", "options": ["x", "y"], "question": "Q?"}


def test_items_are_read_or_rejected(make_part):
    first, second, rejected = items(
        make_part("a.jsonl", json_lines(ITEM, {**ITEM, "options": None}, {"id": "b"}), "items")
    )
    assert (first.id, first.options, second.options) == ("a-0", ("x", "y"), None)
    assert rejected.reason == "not an item: 'text'"


def test_items_name_their_cluster_or_none(make_part):
    records = [{**ITEM, "cluster": "family"}, ITEM, {**ITEM, "cluster": 7}]
    first, second, rejected = items(make_part("a.jsonl", json_lines(*records), "items"))
    assert (first.cluster, second.cluster) == ("family", "")
    assert rejected.reason == "cluster: 7 is not a text"
