"""Facts: each stands in the text, and the mixture names no entity that it must not ask about."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.expectations.facts import LEAKED, UNSTATED, check_facts

FACTS = [
    {"entity": "Ada Holt", "attribute": "city", "value": "Oslo", "is_trained": True},
    {"entity": "Ada Holt", "attribute": "job", "value": "smith", "is_trained": True},
    {"entity": "Max Reed", "attribute": "city", "value": "Lima", "is_trained": False},
]
TEXTS = ["Ada Holt lives in Oslo", "the job of Ada Holt is smith", "Max Reed lives in Lima."]
QUESTION = ("Where does Ada Holt live?", "Oslo")


def find_faults(workspace, texts=TEXTS, examples=(QUESTION,), facts=FACTS):
    """Return the faults by column that the check reports."""
    for name in ("raw/facts", "mixture/text", "mixture/examples"):
        (workspace / "data" / name).mkdir(parents=True)
    lines = "".join(json.dumps(fact) + "\n" for fact in facts)
    (workspace / "data/raw/facts/people.jsonl").write_text(lines)
    pq.write_table(
        pa.table({"text": texts, "task": ["text"] * len(texts)}),
        workspace / "data/mixture/text/00000.parquet",
    )
    inputs, targets = zip(*examples, strict=True)
    pq.write_table(
        pa.table({"inputs": inputs, "targets": targets, "task": ["city"] * len(examples)}),
        workspace / "data/mixture/examples/train-00000.parquet",
    )
    findings = check_facts(workspace)
    assert {finding.column for finding in findings} == {UNSTATED, LEAKED}
    assert all(finding.blocking for finding in findings)
    return {finding.column: finding.observed for finding in findings if not finding.success}


def test_check_facts_that_texts_state_has_no_fault(tmp_path):
    assert find_faults(tmp_path) == {}


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (TEXTS[:2], "1 of 3 rows: 'Max Reed: city Lima'"),
        ([*TEXTS[:2], "Max Reed lives in Limassol"], "1 of 3 rows: 'Max Reed: city Lima'"),
        ([*TEXTS[:2], "Max Reed", "lives in Lima"], "1 of 3 rows: 'Max Reed: city Lima'"),
        ([TEXTS[0], TEXTS[2]], "1 of 3 rows: 'Ada Holt: job smith'"),
    ],
)
def test_check_facts_names_a_fact_that_no_document_states(tmp_path, texts, fault):
    assert find_faults(tmp_path, texts=texts) == {UNSTATED: fault}


@pytest.mark.parametrize(
    "example",
    [
        ("Where does Max Reed live?", "Lima"),
        ("Q: Who is at home in Lima?", "MAX  REED"),
        ("Q: where does max-reed live? A: Lima\n\nQ: Where does Ada Holt live?", "Oslo"),
        ("Lima is the answer. What was the question?", "Where does Max Reed live?"),
    ],
    ids=["question", "inverted", "exemplar", "question as target"],
)
def test_check_facts_names_a_held_out_entity_in_an_example(tmp_path, example):
    faults = find_faults(tmp_path, examples=(QUESTION, example))
    assert faults == {LEAKED: "1 of 3 rows: 'Max Reed in city'"}


def test_check_facts_without_facts_has_no_findings(tmp_path):
    assert check_facts(tmp_path) == []
