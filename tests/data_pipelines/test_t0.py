"""promptsource's templates: its YAML, its Jinja, and what a template must not do."""

import json
import time

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import ReadParams
from data_pipelines.templates.promptsource import load as load_prompts
from data_pipelines.templates.sandbox import TemplateRefused, compiled, render
from tests.data_pipelines.conftest import load

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
LIST = (
    "HF_name,subset,task_by_convention,do_train,do_eval,train_size\r\n"
    "boolq,,QA,SGLUE,,9427\r\nrte,,NLI,,BASE,1\r\n"
)


def t0(part, templates=TEMPLATES, hub_name="boolq", rows=40):
    part("templates.yaml", templates)
    part("datasets.csv", LIST)
    lines = "".join(
        json.dumps({"question": f"q{i}", "passage": f"p{i}", "label": i % 2}) + "\n"
        for i in range(rows)
    )
    return part(
        "rows.jsonl", lines, "promptsource", "t0_sf", dataset="boolq", hub_name=hub_name,
        templates="templates.yaml", list="datasets.csv",
    )  # fmt: skip


def test_rows_are_rendered_and_templates_that_do_not_apply_passed_over(part):
    rows = load(t0(part))
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


def test_which_data_sets_t0_trains_on_is_read_from_its_list(part):
    assert load(t0(part, hub_name="rte")) == []  # held out in T0: its evaluation
    assert load(t0(part), ReadParams(t0_sets=("BASE",))) == []
    assert load(t0(part, hub_name="unknown")) == []


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
def test_a_template_that_must_not_be_rendered_is_refused_in_good_time(part, jinja, reason):
    templates = (
        "dataset: x\ntemplates:\n  a: !Template\n    name: bad\n    answer_choices: null\n"
        f"    jinja: {json.dumps(jinja + ' ||| x')}\n    metadata: !TemplateMetadata {{}}\n"
    )
    began = time.monotonic()
    rows = load(t0(part, templates, rows=3))
    assert time.monotonic() - began < 10
    assert len(rows) == 3
    assert all("template 'bad'" in row.reason and reason in row.reason for row in rows)


def test_a_template_with_a_mistake_refuses_its_rows(part):
    templates = TEMPLATES.replace("{{passage}} {{question}}?", "{{passage")
    rows = load(t0(part, templates))
    reasons = {row.reason for row in rows if hasattr(row, "reason")}
    assert any("'plain': not a template" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("templates: [", "no YAML"),
        ("a: 1", "it has no templates"),
        ("!!python/object:os.system x", "no YAML"),
    ],
)
def test_files_that_are_none_of_promptsource(tmp_path, content, told):
    path = tmp_path / "templates.yaml"
    path.write_text(content)
    with pytest.raises(SourceError, match=told):
        load_prompts(path)


def test_choice_is_the_rows_own_chance():
    template = compiled("{{ [1, 2, 3, 4, 5, 6] | choice }}")
    assert render(template, {}, 1) == render(template, {}, 1)
    assert len({render(template, {}, seed) for seed in range(40)}) == 6


def test_what_templates_of_promptsource_use_works():
    source = (
        "{% set ns = namespace(x=0) %}{% for a, b in zip(xs, ys) %}{% set ns.x = ns.x + a * b %}"
        "{{ loop.index }}/{{ loop.length }}{{ ', ' if not loop.last }}{% endfor %} {{ ns.x }} "
        "{{ xs | most_frequent | join('-') }}"
    )
    assert render(compiled(source), {"xs": [1, 2, 2], "ys": [3, 4, 5]}, 0) == "1/3, 2/3, 3/3 21 2"
    with pytest.raises(TemplateRefused):
        compiled("{% for %}")
