"""Specifications of the charts."""

import pytest

from dashboard.cached_queries import open_view
from dashboard.charts import MAX_LABELS, frontier_chart
from dashboard.frames import frontier_lines, frontier_points
from dashboard.palette import DARK, LIGHT
from registry.store import Registry


def frontier_spec(frontier):
    chart = frontier_chart(
        frontier_points(frontier), frontier_lines(frontier), cost="c", score="s", palette=LIGHT
    )
    return chart.to_dict()


def test_frontier_chart_tells_kinds_apart_by_shape_and_colour(project):
    spec = frontier_spec(open_view().read(Registry.frontier, "m", "token"))
    (points,) = [layer for layer in spec["layer"] if "shape" in layer["encoding"]]
    for channel in ("shape", "color"):
        scale = points["encoding"][channel]["scale"]
        assert scale["domain"] == ["dense", "MoE"]
        assert len(set(scale["range"])) == 2
    low, high = points["encoding"]["x"]["scale"]["domain"]
    assert high / low >= 2


def test_frontier_lines_join_a_model_with_its_start_and_its_partner(project):
    start = open_view().registry.show("m", 1).run_record
    chain = start.training_chain.model_dump(mode="json")
    step = {**chain["runs"][0], "name": "tuned"}
    project.register(
        "tuned", [0.5, 0.7], run={"training_chain": {**chain, "runs": [*chain["runs"], step]}}
    )
    project.register("dense_tuned", [0.5, 0.7])
    lines = frontier_lines(open_view().read(Registry.frontier, "m", "token"))
    assert set(lines["line"]) == {"trained from 1 3", "dense partner 4 2"} or set(
        lines["line"]
    ) == {"trained from 1 3", "dense partner 1 2"}


def test_frontier_chart_of_many_models_labels_the_champion_first(project):
    for i in range(MAX_LABELS):
        project.register(f"x{i}", [0.3, 0.3 + i / 100], run={"flops_per_token": 2e6 + i})
    spec = frontier_spec(open_view().read(Registry.frontier, "m", "token"))
    names = [layer["data"]["name"] for layer in spec["layer"] if layer["mark"]["type"] == "text"]
    labels = [row["label"] for name in names for row in spec["datasets"][name]]
    assert "★ moe v2" in labels
    assert len(labels) < MAX_LABELS


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_palette_colours_have_contrast_aa(palette):
    for name in ("text", "muted", "dense", "moe"):
        assert contrast(getattr(palette, name), palette.background) >= 4.5, name


def contrast(first, second):
    """Return the contrast of two colours (WCAG 2.1, 1.4.3)."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
