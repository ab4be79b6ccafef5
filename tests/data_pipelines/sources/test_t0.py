"""T0-SF: raw rows rendered with promptsource's templates."""

import json
import time

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import ReadParams
from tests.data_pipelines.sources.factories import json_lines, load_rows

TEMPLATES = """
dataset: boolq
templates:
  one: !Template
    answer_choices: No ||| Yes
    id: one
    jinja: "{{passage}} {{question}}? ||| {{answer_choices[label]}}"
    metadata: !TemplateMetadata
      original_task: true
    name: plain
  two: !Template
    answer_choices: null
    id: two
    jinja: "{% if label == 1 %}{{question}} ||| {{passage}}{% endif %}"
    metadata: !TemplateMetadata
      original_task: false
    name: only for yes
"""
T0_LIST = (
    "HF_name,subset,task_by_convention,do_train,do_eval,train_size\r\n"
    "boolq,,QA,SGLUE,,9427\r\nrte,,NLI,,BASE,1\r\n"
)


def make_t0_part(make_part, templates=TEMPLATES, hub_name="boolq", num_rows=40, t0_list=T0_LIST):
    make_part("templates.yaml", templates)
    make_part("datasets.csv", t0_list)
    records = [{"question": f"q{i}", "passage": f"p{i}", "label": i % 2} for i in range(num_rows)]
    return make_part(
        "rows.jsonl", json_lines(*records), "promptsource", "t0_sf", dataset="boolq",
        hub_name=hub_name, templates="templates.yaml", list="datasets.csv",
    )  # fmt: skip


def test_t0_rows_are_rendered_with_a_template_that_applies(make_part):
    rows = load_rows(make_t0_part(make_part))
    assert len(rows) == 40
    for row in rows:
        i = row.source_row - 1
        if row.template == "plain":
            assert (row.inputs, row.targets) == (f"p{i} q{i}?", ("No", "Yes")[i % 2])
            assert row.options == ("No", "Yes")
        else:
            assert i % 2 == 1
            assert (row.inputs, row.targets, row.options) == (f"q{i}", f"p{i}", None)
    assert {row.template for row in rows} == {"plain", "only for yes"}


def test_t0_list_decides_which_data_sets_are_read(make_part):
    assert load_rows(make_t0_part(make_part, hub_name="rte")) == []  # evaluation only in T0
    assert load_rows(make_t0_part(make_part), ReadParams(t0_sets=("BASE",))) == []
    assert load_rows(make_t0_part(make_part, hub_name="unknown")) == []


def test_t0_without_its_list_fails(make_part):
    part = make_t0_part(make_part)
    (part.raw_folder / "datasets.csv").unlink()
    with pytest.raises(SourceError, match=r"datasets\.csv \(T0's list of data sets\) is missing"):
        load_rows(part)


def test_t0_with_another_csv_as_its_list_fails(make_part):
    with pytest.raises(SourceError, match=r"datasets\.csv is not T0's list of data sets"):
        load_rows(make_t0_part(make_part, t0_list="a,b\n1,2\n"))


@pytest.mark.parametrize(
    ("jinja", "reason"),
    [
        ("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", "not end"),
        ("{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}", ""),
        ("{{ question.__class__.__mro__ }}", "unsafe"),
        ("{{ ''.__class__.__base__.__subclasses__() }}", "unsafe"),
        ("{{ question.__init__.__globals__ }}", "unsafe"),
        ("{{ '%999999999d' % 1 }}", "formatting"),
        ("{{ 'a' * 99999999 }}", "characters"),
        ("{{ 9 ** 9 ** 9 }}", "powers"),
        ("{{ question.center(99999999) }}", "unsafe"),
        ("{{ range(99999999) | list }}", "Range too big"),
        ("{{ no_such_function() }}", "undefined"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
    ],
)  # fmt: skip
def test_t0_unsafe_template_rejects_its_rows_quickly(make_part, jinja, reason):
    templates = (
        "dataset: x\ntemplates:\n  a: !Template\n    name: bad\n    answer_choices: null\n"
        f"    jinja: {json.dumps(jinja + ' ||| x')}\n    metadata: !TemplateMetadata {{}}\n"
    )
    start = time.monotonic()
    rows = load_rows(make_t0_part(make_part, templates, num_rows=3))
    assert time.monotonic() - start < 10
    assert len(rows) == 3
    assert all("template 'bad'" in row.reason and reason in row.reason for row in rows)


def test_t0_invalid_template_rejects_its_rows(make_part):
    templates = TEMPLATES.replace("{{passage}} {{question}}?", "{{passage")
    rows = load_rows(make_t0_part(make_part, templates))
    reasons = {row.reason for row in rows if hasattr(row, "reason")}
    assert any("'plain': invalid template" in reason for reason in reasons)
