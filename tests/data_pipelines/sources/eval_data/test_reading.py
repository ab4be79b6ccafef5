"""Multiple choice, yes/no questions and reading comprehension."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.sources.eval_data.reading import arc, boolq, strategyqa, tydiqa
from tests.data_pipelines.sources.factories import json_lines
from tests.data_pipelines.sources.raw.published_rows import ARC


def test_arc_options_are_lettered(make_part):
    item, rejected = arc(make_part("arc.jsonl", json_lines(ARC, {**ARC, "answerKey": "E"}), "arc"))
    assert (item.text, item.choices) == ("Why?\n(A) x\n(B) y", "(A) x (B) y")
    assert (item.answer, item.options) == ("B", ("A", "B"))
    assert rejected.reason == "answerKey: 'E' is not one of A, B"


def test_boolq_passage_is_the_context(make_part):
    record = {"question": "is it", "passage": "P.", "label": True}
    part = make_part("val.jsonl", json_lines(record, {**record, "label": None}), "boolq")
    item, rejected = boolq(part)
    assert (item.text, item.context, item.answer) == ("P.\nQuestion: is it?", "P.", "yes")
    assert rejected.reason == "no question, passage or label"


def test_items_of_a_passage_share_a_cluster_in_every_task_and_file(make_part):
    rows = [
        {"question": question, "passage": passage, "label": True}
        for question, passage in [("a", "P one."), ("b", "P  one.\n"), ("c", "P two.")]
    ]
    first, second, third = boolq(make_part("val.jsonl", json_lines(*rows), "boolq"))
    assert first.cluster == second.cluster != third.cluster
    assert len(first.cluster) == 12
    qas = [{"id": "english-1-0", "question": "Q?", "answers": [{"text": "a"}]}]
    paragraphs = [{"context": text, "qas": qas} for text in ("P one.", "P three.")]
    content = json.dumps({"data": [{"paragraphs": paragraphs}]})
    fourth, fifth = tydiqa(make_part("t.json", content, "tydiqa"))
    assert fourth.cluster == first.cluster != fifth.cluster


def test_strategyqa_rationale_is_the_facts_and_the_answer(make_part):
    record = {"question": "Q?", "answer": False, "facts": ["One.", " Two. "]}
    part = make_part("s.json", json.dumps([record, {"question": "Q?"}]), "strategyqa")
    item, rejected = strategyqa(part)
    assert (item.answer, item.rationale) == ("no", "\nOne.\nTwo.\nThe answer is no.")
    assert rejected.reason == "no question, or an answer that is not yes or no"


def test_strategyqa_of_big_bench_has_no_rationale(make_part):
    record = {"input": "Q?", "target_scores": {"Yes": 1, "No": 0}}
    part = make_part("s.json", json.dumps({"examples": [record]}), "strategyqa")
    (item,) = strategyqa(part)
    assert (item.question, item.answer, item.rationale) == ("Q?", "yes", "")


def test_tydiqa_equal_references_count_once(make_part):
    questions = [
        {"id": "1", "question": "Q?", "answers": [{"text": "a"}, {"text": "b"}, {"text": "a"}]},
        {"id": "2", "question": "Q?", "answers": []},
    ]
    content = {"data": [{"paragraphs": [{"context": "C", "qas": questions}]}]}
    item, rejected = tydiqa(make_part("t.json", json.dumps(content), "tydiqa"))
    assert (item.text, item.answer, item.references) == ("C\nQuestion: Q?", "a", ("a", "b"))
    assert (rejected.source_row, rejected.reason) == (1, "no answer")


def test_tydiqa_language_is_that_of_the_id(make_part):
    questions = [
        {"id": f"{name}-1-0", "question": "Q?", "answers": [{"text": "a"}]}
        for name in ("bengali", "english", "russian", "latin")
    ]
    content = {"data": [{"paragraphs": [{"context": "C", "qas": questions}]}]}
    items = tydiqa(make_part("t.json", json.dumps(content), "tydiqa"))
    assert [item.language for item in items] == ["bn", "en", "ru", ""]


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        (strategyqa, "is not StrategyQA: examples are missing"),
        (tydiqa, "is not in SQuAD's format: data is missing"),
    ],
)
def test_reader_of_a_file_of_another_format_fails(make_part, reader, message):
    with pytest.raises(SourceError, match=message):
        list(reader(make_part("file.json", "{}")))
