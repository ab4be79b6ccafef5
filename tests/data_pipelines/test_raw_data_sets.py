"""Raw data sets: one row of each as it is published, its content, and what is refused."""

import json

import pytest

from data_pipelines.errors import SourceError
from data_pipelines.example import RejectedRow
from data_pipelines.params import ReadParams
from data_pipelines.sources.raw.table import DATASETS, rows
from data_pipelines.templates.instructions import FIELD, group, names
from tests.data_pipelines.conftest import load

ARC = {
    "id": "1",
    "question": {"stem": "Why?", "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}]},
    "answerKey": "B",
}  # fmt: skip


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


CASES = {
    "ag_news": ('"3","Title\\here","Text, ""quoted"""\n', ("Title here Text, \"quoted\"", "business")),
    "arc": (lines(ARC), ("Why?", "y")),
    "boolq": (lines({"question": "is it", "passage": "P", "label": True}), ("is it", "yes")),
    "cb": (lines({"premise": "P", "hypothesis": "H", "label": "neutral"}),
           ("H", "it is not possible to tell")),
    "commonsense_qa": (lines(ARC), ("Why?", "y")),
    "copa": (lines({"premise": "P.", "choice1": "a", "choice2": "b", "question": "cause", "label": 1}),
             ("P. cause", "b")),
    "cosmos_qa": ("id,context,question,answer0,answer1,answer2,answer3,label\r\n"
                  '1,"C, c",Q,a,b,c,None,3\r\n', ("Q", "None")),
    "dart": (json.dumps([{"tripleset": [["s", "p", "o"], ["t", "q", "r"]],
                          "annotations": [{"text": "one"}, {"text": "two"}]}]),
             ("s | p | o; t | q | r", "one")),
    "dream": (json.dumps([[["M: hi", "W: ho"], [{"question": "Q?", "choice": ["a", "b"], "answer": "b"}],
                           "1"]]), ("Q?", "b")),
    "e2e": ("mr,ref\r\nname[A],One.\r\nname[A],Two.\r\n", ("name[A]", "One.")),
    "mrpc": (b"\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
             b'1\t1\t2\tHe said "so.\tSo, he said.\r\n', ('He said "so. So, he said.', "yes")),
    "multirc": (lines({"passage": {"text": "T", "questions": [
        {"question": "Q?", "answers": [{"text": "a", "label": 0}, {"text": "b", "label": 1}]}]}}),
        ("Q? a", "no")),
    "piqa": (lines({"goal": "G", "sol1": "a", "sol2": "b"}), ("G", "b")),
    "qasc": (lines({**ARC, "fact1": "f"}), ("Why?", "y")),
    "qed": (lines({"question_text": "who", "paragraph_text": "P", "title_text": "T",
                   "original_nq_answers": [[{"string": "X of Y"}], [{"string": "X"}]]}),
            ("who", "X of Y")),
    "quail": (lines({"context": "C", "question": "Q", "answers": ["a", "b"], "correct_answer_id": "1"}),
              ("Q", "b")),
    "record": (lines({"passage": {"text": "Ann met Bo", "entities": [{"start": 0, "end": 2},
                                                                     {"start": 8, "end": 9}]},
                      "qas": [{"query": "@placeholder left", "answers": [{"text": "Bo"}]}]}),
               ("@placeholder left", "Bo")),
    "rotten_tomatoes": ("caf\xe9 is nice .\n".encode("latin-1"), ("caf\xe9 is nice .", "positive")),
    "rte": (lines({"premise": "P", "hypothesis": "H", "label": "not_entailment"}), ("H", "no")),
    "sst2": ("0 one long string .\n", ("one long string .", "negative")),
    "trec": ("HUM:ind Who is \xe9 ?\n".encode("latin-1"), ("Who is \xe9 ?", "person")),
    "wic": (lines({"word": "w", "sentence1": "a", "sentence2": "b", "label": False}), ("w a b", "no")),
    "wsc": (lines({"text": "T", "target": {"span1_text": "n", "span2_text": "it"}, "label": True}),
            ("T n it", "yes")),
}  # fmt: skip
FILES = {"rotten_tomatoes": "rt-polarity.pos", "piqa": "valid.jsonl"}
LATIN = ("rotten_tomatoes", "trec")


def of(part, dataset, content):
    if dataset == "piqa":
        part("valid-labels.lst", "1\n")
    encoding = "latin-1" if dataset in LATIN else "utf-8"
    return part(FILES.get(dataset, "rows"), content, "raw", dataset=dataset, encoding=encoding)


def test_every_data_set_has_a_case():
    assert set(CASES) == set(DATASETS)


@pytest.mark.parametrize("dataset", CASES)
def test_a_row_of_each(part, dataset):
    content, (question, answer) = CASES[dataset]
    found = [record for _, _, record in rows(of(part, dataset, content))]
    assert not any(isinstance(record, RejectedRow) for record in found)
    assert (found[0].question, found[0].answer) == (question, answer)
    assert found[0].options is None or found[0].answer in found[0].options


def test_several_examples_and_references_in_a_row(part):
    found = list(rows(of(part, "multirc", CASES["multirc"][0])))
    assert [(row, item, record.answer) for row, item, record in found] == [
        (1, 0, "no"),
        (1, 1, "yes"),
    ]
    (_, _, first), (_, _, second) = rows(of(part, "e2e", CASES["e2e"][0]))
    assert (first.references, second.references) == (("One.", "Two."), ("Two.", "One."))
    (_, _, first), (_, _, second) = rows(of(part, "dart", CASES["dart"][0]))
    assert second.references == ("two", "one")
    ((_, _, qed),) = rows(of(part, "qed", CASES["qed"][0]))
    assert qed.references == ("X of Y", "X")


def test_arc_labels_that_are_digits_under_a_letter_key(part):
    """23 rows of the published in-house split have option labels 1-4 and a letter as the key."""
    odd = json.loads(json.dumps(ARC))
    for number, choice in enumerate(odd["question"]["choices"], start=1):
        choice["label"] = str(number)
    digits = {**odd, "answerKey": "1"}
    found = [record.answer for _, _, record in rows(of(part, "arc", lines(odd, digits)))]
    assert found == ["y", "x"]


@pytest.mark.parametrize(
    ("dataset", "content", "reason"),
    [
        ("arc", lines({**ARC, "answerKey": "E"}), "answerKey 'E' is none of A, B"),
        ("arc", lines({"question": {"stem": "s", "choices": []}}), "fewer than two choices"),
        ("arc", lines({"question": "text"}), "no question.stem"),
        ("boolq", lines({"question": "q", "passage": "p", "label": "maybe"}), "label is 'maybe'"),
        ("copa", lines({"premise": "p", "choice1": "a", "choice2": "b", "question": "why"}),
         "question is 'why'"),
        ("copa", lines({"premise": "p", "choice1": "a", "choice2": "b", "question": "cause",
                        "label": 2}), "label 2 names none of 2 options"),
        ("cosmos_qa", "id,context,question,answer0,answer1,answer2,answer3,label\nx,c,q,a,b,c,d,x\n",
         "label is 'x', not a whole number"),
        ("cosmos_qa", "id,context\nonly one\n", "1 columns instead of 2"),
        ("dream", json.dumps([[["t"], [{"question": "q", "choice": ["a"], "answer": "z"}], "1"]]),
         "answer 'z' is no choice"),
        ("dream", json.dumps([{"a": 1}]), "not turns, questions, id"),
        ("mrpc", "head\n1\t2\t3\n", "3 columns instead of 5"),
        ("trec", "NEW:label what ?\n", "unknown label 'NEW:label'"),
        ("sst2", "5 text\n", "not 0 or 1 and a sentence"),
        ("ag_news", '"7","t","d"\n', "label 6 names none of 4 options"),
        ("qed", lines({"question_text": "q", "paragraph_text": "p", "title_text": "t"}), "no answer"),
        ("multirc", lines({"passage": {"text": "t", "questions": [3]}}), "not of the format"),
        ("multirc", lines({"passage": {"text": "t"}}), "nothing is asked"),
    ],
)  # fmt: skip
def test_rows_that_are_refused(part, dataset, content, reason):
    ((_, _, record),) = rows(of(part, dataset, content))
    assert isinstance(record, RejectedRow)
    assert reason in record.reason


def test_piqa_labels_of_another_length(part):
    part("valid-labels.lst", "1\n0\n")
    with pytest.raises(SourceError, match=r"has 1 rows, .* 2 labels"):
        list(rows(part("valid.jsonl", CASES["piqa"][0], "raw", dataset="piqa")))


# Templates -------------------------------------------------------------------------------------

GROUP_OF = {
    "ag_news": "topic", "arc": "choice_question", "boolq": "yes_no_reading", "cb": "entailment",
    "commonsense_qa": "choice_question", "copa": "cause_effect", "cosmos_qa": "reading_choice",
    "dart": "facts_to_text", "dream": "reading_choice", "e2e": "facts_to_text",
    "mrpc": "paraphrase", "multirc": "answer_check", "piqa": "goal_solution",
    "qasc": "choice_question", "qed": "reading_answer", "quail": "reading_choice",
    "record": "cloze", "rotten_tomatoes": "sentiment", "rte": "entailment", "sst2": "sentiment",
    "trec": "question_type", "wic": "word_sense", "wsc": "coreference",
}  # fmt: skip


@pytest.mark.parametrize("dataset", CASES)
def test_every_template_of_a_data_set_can_be_filled(part, dataset):
    ((_, _, row), *_) = rows(of(part, dataset, CASES[dataset][0]))
    fields = {**row.words, "context": row.context, "question": row.question, "answer": row.answer}
    templates = group(GROUP_OF[dataset])
    assert len(templates["forward"]) == 10
    for form, members in templates.items():
        for template in members:
            inputs, targets = template.fill(**fields, options="\nOPTIONS:\n- a")
            assert inputs
            assert targets
            if form == "forward":
                assert targets == row.answer


def test_every_group_is_of_use_and_names_only_known_fields():
    assert set(names()) == {*GROUP_OF.values(), "cot", "niv2"}
    for name in names():
        for members in group(name).values():
            assert len({template.inputs for template in members}) == len(members)
            for template in members:
                assert "{" not in FIELD.sub("", template.inputs + template.targets)


def test_braces_in_a_row_are_text(part):
    record = {"question": "is {answer} it", "passage": "{question}", "label": True}
    made = load(
        part("b.jsonl", lines(record), "raw", dataset="boolq", templates="yes_no_reading"),
        ReadParams(inversion_share=0),
    )
    assert "is {answer} it" in made[0].inputs


def test_forms_are_shared_out_as_asked(part):
    content = "".join(f"{i % 2} sentence number {i} .\n" for i in range(2000))
    made = load(part("s", content, "raw", dataset="sst2", templates="sentiment"))
    inverted = [row for row in made if row.template.startswith("inverted")]
    shown = [row for row in made if row.options is not None]
    assert len(inverted) == pytest.approx(600, abs=80)
    assert len(shown) == pytest.approx(700, abs=80)
    assert len({row.template for row in made}) == 23  # 10 with and without options, 3 inverted
    assert all(row.targets in row.options for row in shown)
    assert all("negative" in row.inputs and "positive" in row.inputs for row in shown)
    assert all(row.answer in row.inputs for row in inverted)
    assert {row.answer for row in made} == {"negative", "positive"}
