"""The sample's facts: their number, their statements, and who is asked about in which form."""

import json
import math
import re

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.params import MIXTURES, SampleParams
from data_pipelines.sources.sample.facts import ATTRIBUTES, MAX_PEOPLE, count_people, make_facts
from data_pipelines.sources.sample.generate import generate
from data_pipelines.sources.sample.knowledge import FAMILIES, FORMS

PARAMS = SampleParams(
    examples_per_family=5, held_out_items=10, text_documents=5, facts_bits_per_parameter=0.05
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of a sample of 201 people."""
    folder = tmp_path_factory.mktemp("sample")
    generate(folder, PARAMS)
    return folder


def read_lines(folder, pattern):
    return [line for path in sorted(folder.glob(pattern)) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("factor", [0.25, 1, 4])
def test_count_people_grows_with_the_bits_per_parameter(factor):
    params = SampleParams(model_parameters=95_000, facts_bits_per_parameter=0.35 * factor)
    bits = count_people(params) * 4 * math.log2(48)
    assert bits == pytest.approx(factor * 0.35 * 95_000, rel=0.01)


def test_count_people_of_more_facts_than_names_raises():
    params = SampleParams(model_parameters=10**6, facts_bits_per_parameter=2)
    with pytest.raises(SourceError, match=r"facts_bits_per_parameter: 2\S* needs 89526 .* 9216 na"):
        count_people(params)
    assert MAX_PEOPLE == 96 * 96


def test_attributes_have_48_values_and_statements_end_with_the_value():
    for attribute in ATTRIBUTES:
        assert len(set(attribute.values)) == 48
        assert len(set(attribute.statements)) == 3
        assert all(s.endswith(" {value}") and "{name}" in s for s in attribute.statements)


def test_facts_are_close_to_uniform_over_the_values():
    facts = list(make_facts(SampleParams(facts_bits_per_parameter=1)))
    counts = {}
    for fact in facts:
        counts[fact.value] = counts.get(fact.value, 0) + 1
    expected = len(facts) / 4 / 48
    assert len(counts) == 4 * 48
    assert max(counts.values()) < expected + 5 * math.sqrt(expected)
    assert min(counts.values()) > expected - 5 * math.sqrt(expected)


def test_text_states_every_fact_in_every_phrasing(folder):
    lines = set(read_lines(folder, "text/*.txt"))
    facts = list(make_facts(PARAMS))
    assert len(facts) == 4 * 201
    for fact in facts:
        assert len(fact.statements) == 3
        assert lines.issuperset(fact.statements)


def test_facts_file_lists_every_fact(folder):
    rows = [json.loads(line) for line in read_lines(folder, "facts/*.jsonl")]
    assert [(r["entity"], r["attribute"], r["value"], r["is_trained"]) for r in rows] == [
        (f.person.name, f.attribute.noun, f.value, f.person.is_trained) for f in make_facts(PARAMS)
    ]
    assert sum(row["is_trained"] for row in rows) == 4 * round(0.7 * 201)


def test_training_files_name_the_trained_people_and_no_other(folder):
    """No question-answer pair of a held-out fact is in training: its person is never named."""
    training = "\n".join(
        line for mixture in MIXTURES for line in read_lines(folder, f"{mixture}/*")
    )
    people = {fact.person for fact in make_facts(PARAMS)}
    named = {person for person in people if person.name in training}
    assert named == {person for person in people if person.is_trained}


@pytest.mark.parametrize("suite", ["sample_knowledge", "sample_new_forms"])
def test_items_ask_for_facts_of_people_whom_no_instruction_names(folder, suite):
    value = {(f.person.name, f.attribute.noun): f for f in make_facts(PARAMS)}
    paths = sorted((folder / "eval_data" / suite).iterdir())
    assert {path.stem for path in paths} == {family.name for family in FAMILIES}
    for path in paths:
        items = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(items) == 10
        for item in items:
            fact = value[item["cluster"], path.stem.split("_")[0]]
            assert item["answer"] == fact.value
            assert not fact.person.is_trained
            assert item["cluster"] in item["text"]


@pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])
def test_new_form_is_new_for_its_family_and_has_known_words(family):
    assert family.new_form not in family.known_forms
    assert len(family.known_forms) == len(FORMS[family.mixture]) - 1
    known = {
        word
        for other in FAMILIES
        if other.mixture == family.mixture
        for form in other.known_forms
        for word in re.findall(r"\w+", form)
    }
    assert known.issuperset(re.findall(r"\w+", family.new_form))


def test_items_in_known_forms_use_only_forms_of_the_instructions(folder):
    for family in FAMILIES:
        items = [
            json.loads(line) for line in read_lines(folder, f"eval_data/*/{family.name}.jsonl")
        ]
        by_form = {
            form: [item for item in items if form.format(name=item["cluster"]) in item["text"]]
            for form in (*family.known_forms, family.new_form)
        }
        if family.mixture != "niv2":
            assert len(by_form[family.new_form]) == 10
            assert sum(map(len, by_form.values())) == 20
