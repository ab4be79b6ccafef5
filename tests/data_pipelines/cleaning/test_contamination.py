"""Matches of the contamination index are equal to those of a loop over all n-grams."""

import html
import json
import random
import unicodedata

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines.cleaning.contamination import load_contamination_index
from data_pipelines.cleaning.item_fields import EVAL_ITEM_SCHEMA
from data_pipelines.cleaning.words import normalise
from tests.data_pipelines.cleaning.ngrams import split_ngrams, split_words


def write_items(path, items):
    """Write evaluation items, each a question or a dict of columns."""
    rows = [{"question": item} if isinstance(item, str) else item for item in items]
    table = [
        {"suite": "s", "task": "t", "id": str(i), "context": "", "options": [], "text": "", **row}
        for i, row in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(table, EVAL_ITEM_SCHEMA), path)


def find_matches(path, rows, n=13, max_items=10):
    """Return the matches of rows, each inputs or (inputs, targets), whose question is unknown."""
    pairs = [(row, "") if isinstance(row, str) else row for row in rows]
    table = pa.table(
        {
            "uid": [str(i) for i in range(len(rows))],
            "mixture": ["m"] * len(rows),
            "task": ["t"] * len(rows),
            "inputs": [inputs for inputs, _ in pairs],
            "targets": [targets for _, targets in pairs],
        }
    )
    inputs, targets = (normalise(table[name].combine_chunks()) for name in ("inputs", "targets"))
    questions = pa.array([""] * len(rows))
    index = load_contamination_index(path, n, max_items)
    return index.find_matches(table, questions, inputs, targets).to_pylist()


def find_rows(path, items, rows):
    """Return the indices of the rows that overlap with one of the items."""
    write_items(path / "eval_items.parquet", items)
    matches = find_matches(path / "eval_items.parquet", rows)
    return sorted({int(match["uid"]) for match in matches})


def contains(text, question):
    return f" {' '.join(split_words(question))} " in f" {' '.join(split_words(text))} "


def test_find_matches_of_random_texts_equals_the_reference(tmp_path):
    rng = random.Random(1)
    vocabulary = [f"v{i}" for i in range(12)]

    def random_text(size):
        return " ".join(rng.choices(vocabulary, k=size))

    items = [random_text(rng.randrange(3, 25)) for _ in range(40)]
    boilerplate = " ".join(f"common{j}" for j in range(8))
    items += [*(f"{boilerplate} end{i}" for i in range(4)), boilerplate]
    rows = [(random_text(rng.randrange(3, 40)), random_text(3)) for _ in range(60)]
    texts = [items[3], items[7] + " tail", rng.choice(items), f"so {items[-1]} it", items[-2]]
    rows += [(text, "") for text in texts] + [("", text) for text in texts]
    n, max_items = 5, 3
    items_by_gram = {}
    for i, item in enumerate(items):
        for gram in set(split_ngrams(item, n)):
            items_by_gram.setdefault(gram, set()).add(i)
    specific = {gram for gram, owners in items_by_gram.items() if len(owners) <= max_items}
    by_ngram = {
        (row, item)
        for row, fields in enumerate(rows)
        for text in fields
        for gram in split_ngrams(text, n)
        if gram in specific
        for item in items_by_gram[gram]
    }
    by_short_item = {
        (row, item)
        for row, fields in enumerate(rows)
        for text in fields
        for item, question in enumerate(items)
        if not specific & set(split_ngrams(question, n))
        and items.count(question) == 1
        and (contains(text, question) if len(split_words(question)) >= 8 else text == question)
    }
    write_items(tmp_path / "eval_items.parquet", items)
    matches = find_matches(tmp_path / "eval_items.parquet", rows, n, max_items)
    pairs = {(int(m["uid"]), int(m["item"])): m["match"] for m in matches}
    assert len(pairs) == len(matches)
    assert set(pairs) == by_ngram | by_short_item
    assert {pair for pair, kind in pairs.items() if kind == "ngram"} == by_ngram
    assert by_short_item - by_ngram


WORDS = [f"w{i}" for i in range(20)]
SEAM_ITEM = {"context": " ".join(WORDS[:10]), "question": " ".join(WORDS[10:])}


def test_find_matches_across_context_and_question_of_an_item_is_none(tmp_path):
    rows = [" ".join(WORDS[3:18]), " ".join(WORDS)]
    item = SEAM_ITEM | {"question": SEAM_ITEM["question"] + " w20 w21 w22"}
    assert find_rows(tmp_path, [item], [rows[0]]) == []
    assert find_rows(tmp_path, [item], [rows[1] + " w20 w21 w22"]) == [0]


def test_find_matches_across_inputs_and_targets_of_a_row_is_none(tmp_path):
    row = (" ".join(WORDS[:8]), " ".join(WORDS[8:16]))
    assert find_rows(tmp_path, [" ".join(WORDS)], [row]) == []
    assert find_rows(tmp_path, [" ".join(WORDS)], [" ".join(row), ("x", " ".join(row))]) == [0, 1]


def test_find_matches_of_a_passage_with_many_questions_is_not_boilerplate(tmp_path):
    passage = " ".join(WORDS)
    items = [{"context": passage, "question": f"who wrote page {i} of it"} for i in range(15)]
    assert find_rows(tmp_path, items, [f"Read this: {passage}"]) == [0]


def test_find_matches_of_an_option_of_13_words(tmp_path):
    item = {"question": "Which is right?", "options": ["no", " ".join(WORDS[:13]), "maybe"]}
    assert find_rows(tmp_path, [item], [f"it is {' '.join(WORDS[:13])} of course"]) == [0]


def test_find_matches_ignores_composition_and_invisible_characters_and_splits_han(tmp_path):
    french = "L'été dernier, où étaient les élèves de l'école près de la forêt d'Ébène ?"
    chinese = "罗杰有五个网球。他又买了两罐网球。每罐有三个网球。"
    rows = [
        "x " + unicodedata.normalize("NFD", french),
        french.replace("dernier", "der\u00adnier"),
        f"问题：{chinese}答案：",
    ]
    assert find_rows(tmp_path, [french, chinese], rows) == [0, 1, 2]


def test_find_matches_reads_escape_sequences_of_json_and_html(tmp_path):
    items = [
        "Les élèves\n\"de l'école\" près de la forêt\n& d'Ébène ont <lu>\ntrois livres de contes.",
        "Où\nest l'été\n& l'hiver?",
        "Input: ( ( [ <",
    ]
    for i, item in enumerate(items):
        rows = [json.dumps(item), html.escape(item), f"Q: {json.dumps(html.escape(item))}"]
        assert find_rows(tmp_path, [item], rows) == [0, 1, 2], item
        assert find_rows(tmp_path, [*items[:i], *items[i + 1 :]], rows) == []


SHORT = "Would a pear sink in water?"
MEDIUM = "Did the Roman emperor Hadrian build a wall in Britain?"
GAS = {"question": "Which of these is a gas?", "options": ["iron", "oxygen", "dry sand", "milk"]}
TRUE = {"question": "Which is true?", "options": ["Gold floats", "Lead floats", "Wood floats"]}
FALSE = {"question": "Which is true?", "options": ["Cats bark", "Dogs bark", "Cows bark"]}
BRACKETS = [f"Close the brackets. Input: {brackets}" for brackets in ("[ { (", "< ( [", "{ { <")]


@pytest.mark.parametrize(
    ("items", "row", "is_match"),
    [
        ([SHORT], f"Question: {SHORT}", True),
        ([SHORT], f"Some text before. {SHORT} Yes or no?", True),
        ([SHORT], f"Q: {SHORT.lower().rstrip('?')}\nA:", True),
        ([SHORT], 'They asked "would a pear sink in water", but got no answer', True),
        ([SHORT], "would a pear sink in water faster than a plum", False),
        ([SHORT], "I wonder: would a pear sink in water tomorrow?", False),
        (["Why don't cats swim in lakes?"], "Q : why do n't cats swim in lakes ?", True),
        (["Why can't cats swim in lakes?"], "Q: WHY CAN\u2019T CATS SWIM IN LAKES", True),
        ([MEDIUM], f"I wonder whether {MEDIUM[:-1].upper()} or elsewhere", True),
        ([MEDIUM], "Did the Roman emperor Hadrian build a house in Britain?", False),
        ([GAS], "Which of these is a gas?\nOPTIONS:\n- milk\n- dry sand\n- oxygen\n- iron", True),
        ([GAS, GAS], "Say which of these is a gas: iron; oxygen; dry sand; milk now", True),
        ([GAS, GAS], "Which of these is a gas?\n(A) iron (B) oxygen (C) helium (D) milk", False),
        ([TRUE, FALSE], "Q: Which is true?\n(A) Wood floats (B) Lead floats (C) Gold floats", True),
        ([TRUE, FALSE], f"Which is true? {'far ' * 80} gold floats lead floats wood floats", False),
        ([TRUE, FALSE], "Which is true? Gold floats or lead floats?", False),
        (["yes or no", "yes or no"], "yes or no", False),
        (BRACKETS, f"Q: {BRACKETS[1]}", True),
        (BRACKETS, "Q: Close the brackets. Input: ( ( (", False),
        ([{"question": "57 75 54", "text": "Give the smallest number of it. 57 75 54 Output:"}],
         "Please give the smallest number of it. 57 75 54 output: 54", True),
        (["57 75 54"], "Input: 57 75 54", True),
        (["57 75 54"], "Input: 57 75 54 12", False),
        (["-4 + (-3) ="], "Fully grown giraffes stand 4.3-5.7 m tall.", False),
        (["-4 + (-3) ="], "What is -4+(-3)=", True),
    ],
)  # fmt: skip
def test_find_matches_of_short_items(tmp_path, items, row, is_match):
    expected = [0, 1] if is_match else []
    assert find_rows(tmp_path, items, [row, ("x", row), "unrelated words"]) == expected


def test_load_contamination_index_of_a_changed_file_is_not_cached(tmp_path):
    """Cluster workers outlive a run, and the next run may write other items to the same path."""
    path = tmp_path / "eval_items.parquet"
    rows = ["what is the first question", "what is the second question"]
    write_items(path, rows[:1])
    assert [m["uid"] for m in find_matches(path, rows)] == ["0"]
    write_items(path, rows[1:])
    assert [m["uid"] for m in find_matches(path, rows)] == ["1"]
