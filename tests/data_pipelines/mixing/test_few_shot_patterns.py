"""Few-shot prompts: FLAN v2's numbers of exemplars, patterns and limit, and the single form."""

import re
from collections import Counter
from dataclasses import replace
from math import comb

import pytest

from data_pipelines.mixing.few_shot_patterns import (
    Exemplar,
    Query,
    choose_pattern,
    compose_flan_v2,
    compose_single,
    template_form,
)
from data_pipelines.params import MixParams

PARAMS = MixParams(few_shot_patterns="flan_v2", max_few_shot_characters=100_000)
POOL = [Exemplar(f"e{i}", f"forward_{i % 10}", f"in{i}.", f"out{i}.") for i in range(80)]
SAME_TEMPLATE = [exemplar for exemplar in POOL if exemplar.template == "forward_3"]


def make_query(number, mixture="muffin", template="forward_3", inputs="What?"):
    return Query(
        key=f"q{number}", uid=f"q{number}", mixture=mixture, task="t", template=template,
        inputs=inputs,
    )  # fmt: skip


def compose(number, **changes):
    return compose_flan_v2(make_query(number, **changes), SAME_TEMPLATE, POOL, PARAMS)


def split_prompt(prompt):
    """Return (exemplar number, answer number) of each exemplar, and the text around them."""
    numbers = re.findall(r"(?s)in(\d+)\..*?out(\d+)\.", prompt)
    return numbers, re.sub(r"(in|out)\d+\.|What\?", "|", prompt)


def test_compose_flan_v2_number_of_exemplars_is_that_of_flan():
    """Three of four prompts have Binomial(25, 1/10) exemplars, without 0; the others have five."""
    num_prompts = 4000
    counts = Counter(len(compose(number)[1]) for number in range(num_prompts))
    binomial = {k: comb(25, k) * 0.1**k * 0.9 ** (25 - k) for k in range(1, 8)}
    positive = 1 - 0.9**25
    for number, probability in binomial.items():
        expected = 0.75 * probability / positive + (0.25 if number == 5 else 0)
        assert counts[number] / num_prompts == pytest.approx(expected, abs=0.03)
    assert 0 not in counts


def test_compose_flan_v2_of_cot_has_five_exemplars_in_half_of_the_prompts():
    prompts = [compose(number, mixture="cot")[1] for number in range(2000)]
    mixed = [p for p in prompts if len({exemplar.template for exemplar in p}) > 1]
    assert len(mixed) / len(prompts) == pytest.approx(0.5, abs=0.05)


def test_compose_flan_v2_prompt_is_a_sequence_of_exemplars_in_the_pattern_of_their_template():
    patterns = {i: choose_pattern("t", f"forward_{i}", "x.", PARAMS.seed) for i in range(10)}
    separators = set()
    for number in range(300):
        prompt, exemplars = compose(number)
        numbers, _ = split_prompt(prompt)
        assert numbers == [(e.inputs[2:-1], e.targets[3:-1]) for e in exemplars]
        query = patterns[3]
        assert prompt.endswith(
            f"{query.inputs_prefix}What?{query.delimiter}{query.targets_prefix}".rstrip(" ")
        )
        is_mixed = len({exemplar.template for exemplar in exemplars}) > 1
        for exemplar, following in zip(exemplars, [*exemplars[1:], None], strict=True):
            own = patterns[int(exemplar.template[-1])]
            assert (
                f"{own.inputs_prefix}{exemplar.inputs}{own.delimiter}{own.targets_prefix}"
                f"{exemplar.targets}"
            ) in prompt
            start = prompt.index(exemplar.targets) + len(exemplar.targets)
            following_prefix = patterns[int(following.template[-1]) if following else 3]
            text = following.inputs if following else "What?"
            end = prompt.index(following_prefix.inputs_prefix + text, start)
            if is_mixed:
                separators.add(prompt[start:end])
            else:
                assert prompt[start:end] == own.separator
    assert len(separators) == 1
    assert separators <= {"\n", "\n\n", "\n\n\n"}


def test_choose_pattern_of_many_templates_varies():
    patterns = {choose_pattern("t", f"forward_{i}", "x.", 0) for i in range(60)}
    assert len({p.separator for p in patterns}) >= 3
    assert len({p.inputs_prefix for p in patterns}) >= 5


def test_compose_flan_v2_of_inputs_with_a_cue_adds_no_other_name_for_the_target():
    exemplars = [Exemplar(f"e{i}", "direct_1", f"Q: in{i}. A:", f"out{i}.") for i in range(8)]
    query = make_query(0, mixture="cot", template="direct_1", inputs="Q: What? A:")
    prompt, selected = compose_flan_v2(query, exemplars, exemplars, PARAMS)
    assert selected
    assert re.fullmatch(r"(Q: in\d+\. A:[ \n]out\d+\.\n+)+Q: What\? A:\n?", prompt)


def test_compose_flan_v2_of_an_inverted_template_has_exemplars_of_this_template_only():
    exemplars = [Exemplar(f"e{i}", f"inverted_{i % 2}", f"in{i}.", "o") for i in range(16)]
    same = [e for e in exemplars if e.template == "inverted_1"]
    for number in range(100):
        query = make_query(number, mixture="cot", template="inverted_1")
        _, selected = compose_flan_v2(query, same, exemplars, PARAMS)
        assert {e.template for e in selected} == {"inverted_1"}


@pytest.mark.parametrize("limit", [10, 60, 100, 200])
def test_compose_flan_v2_drops_exemplars_from_the_end_at_the_limit(limit):
    for number in range(50):
        prompt, exemplars = compose_flan_v2(
            make_query(number), SAME_TEMPLATE, POOL, replace(PARAMS, max_few_shot_characters=limit)
        )
        _, all_exemplars = compose(number)
        assert exemplars == all_exemplars[: len(exemplars)]
        assert len(prompt) <= max(limit, len("What?"))
        if not exemplars:
            assert prompt == "What?"


@pytest.mark.parametrize("patterns", ["single", "flan_v2"])
def test_compose_never_shows_the_row_itself(patterns):
    for number in range(50):
        query = replace(make_query(number), uid="e3")
        if patterns == "single":
            _, exemplars = compose_single(query, SAME_TEMPLATE, PARAMS)
        else:
            _, exemplars = compose_flan_v2(query, SAME_TEMPLATE, POOL, PARAMS)
        assert "e3" not in {exemplar.uid for exemplar in exemplars}


def test_template_form_of_numbered_templates_is_shared():
    assert template_form("cot", "rationale_3") == template_form("cot", "rationale_10")
    assert template_form("muffin", "forward_3_options") == "forward_#_options"
    assert template_form("muffin", "forward_3_plain") != "forward_#_options"
    assert template_form("t0_sf", "answer_1") == "answer_1"
