"""The Jinja sandbox; test_t0.py covers the templates that it rejects."""

import pytest

from data_pipelines.templates.sandbox import TemplateRejected, compile_template, render


def test_choice_depends_on_the_seed_only():
    template = compile_template("{{ [1, 2, 3, 4, 5, 6] | choice }}")
    assert render(template, {}, 1) == render(template, {}, 1)
    assert len({render(template, {}, seed) for seed in range(40)}) == 6


def test_render_supports_the_features_that_promptsource_uses():
    source = (
        "{% set ns = namespace(x=0) %}{% for a, b in zip(xs, ys) %}{% set ns.x = ns.x + a * b %}"
        "{{ loop.index }}/{{ loop.length }}{{ ', ' if not loop.last }}{% endfor %} {{ ns.x }} "
        "{{ xs | most_frequent | join('-') }}"
    )
    fields = {"xs": [1, 2, 2], "ys": [3, 4, 5]}
    assert render(compile_template(source), fields, 0) == "1/3, 2/3, 3/3 21 2"


def test_compile_template_with_a_syntax_error_is_rejected():
    with pytest.raises(TemplateRejected, match="invalid template"):
        compile_template("{% for %}")
