"""The part of the graph that ends with given stages."""

import pytest

from flows.errors import FlowError
from flows.runtime.graph import Graph, read_graph
from tests.factories import ROOT

GRAPH = Graph(
    order=("fetch", "read", "eval", "train@a", "train@b", "score@b"),
    dependencies={
        "fetch": frozenset(), "read": frozenset({"fetch"}), "eval": frozenset({"fetch"}),
        "train@a": frozenset({"read"}), "train@b": frozenset({"train@a"}),
        "score@b": frozenset({"train@b", "eval"}),
    },
    changed=frozenset({"eval", "train@a", "score@b"}),
)  # fmt: skip


def test_up_to_a_stage_has_its_dependencies_in_order():
    part = GRAPH.up_to(["train@b"])
    assert part.order == ("fetch", "read", "train@a", "train@b")
    assert part.changed == {"train@a"}
    assert part.dependencies["train@b"] == {"train@a"}


def test_up_to_a_name_stands_for_the_stage_of_every_run():
    assert GRAPH.up_to(["train"]).order == ("fetch", "read", "train@a", "train@b")
    assert GRAPH.up_to(["read", "eval"]).order == ("fetch", "read", "eval")
    assert GRAPH.up_to(["score@b"]) == GRAPH


def test_up_to_an_unknown_stage_names_the_nearest():
    with pytest.raises(FlowError, match=r"dvc.yaml: stage 'traim' is unknown; did you mean 'tr"):
        GRAPH.up_to(["traim"])
    with pytest.raises(FlowError, match="'zz' is unknown; it has eval, fetch"):
        GRAPH.up_to(["zz"])


def test_up_to_the_data_stages_of_the_project_trains_nothing():
    part = read_graph(ROOT).up_to(["eval_data", "pack"])
    assert {stage.partition("@")[0] for stage in part.order} == {
        "digest", "fetch", "eval_data", "read", "clean", "mix", "validate", "tokenizer", "pack",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("stages: {a: {cmds: x}}", r"extra keys not allowed @ data\['stages'\]\['a'\]\['cmds'\]"),
        ("stages: [1", r"corrupted: .* line 1, column"),
        (
            "stages: {a: {cmd: x, deps: [q], outs: [p]}, b: {cmd: x, deps: [p], outs: [q]}}",
            r"cycle|both a dependency and an output|not acyclic",
        ),
    ],
)
def test_read_graph_of_an_invalid_file_says_where(tmp_path, stages, message):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\nno_scm = true\n")
    (tmp_path / "dvc.yaml").write_text(stages)
    with pytest.raises(FlowError, match=message) as error:
        read_graph(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/dvc.yaml: ")
    assert "\n" not in str(error.value)
