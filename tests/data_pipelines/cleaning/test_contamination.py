"""Matches of the contamination index are equal to those of a loop over all n-grams."""

import random

import pyarrow as pa
import pyarrow.parquet as pq

from data_pipelines.cleaning.contamination import load_contamination_index
from data_pipelines.cleaning.words import normalise
from tests.data_pipelines.cleaning.ngrams import split_ngrams, split_words


def write_items(path, items):
    """Write evaluation items whose question is their text."""
    columns = {
        "suite": ["s"] * len(items),
        "task": ["t"] * len(items),
        "id": [str(i) for i in range(len(items))],
        "question": items,
        "text": items,
    }
    pq.write_table(pa.table(columns), path)


def find_matches(path, rows, n, max_items):
    """Return the matches of rows whose question is their text."""
    table = pa.table(
        {
            "uid": [str(i) for i in range(len(rows))],
            "mixture": ["m"] * len(rows),
            "task": ["t"] * len(rows),
        }
    )
    texts = normalise(pa.array(rows))
    index = load_contamination_index(path, n, max_items)
    return index.find_matches(table, texts, texts).to_pylist()


def test_find_matches_of_random_texts_equals_the_reference(tmp_path):
    rng = random.Random(1)
    vocabulary = [f"v{i}" for i in range(12)]

    def random_text(size):
        return " ".join(rng.choices(vocabulary, k=size))

    items = [random_text(rng.randrange(3, 25)) for _ in range(40)]
    rows = [random_text(rng.randrange(3, 40)) for _ in range(60)]
    rows += [items[3], items[7] + " tail", rng.choice(items)]
    n, max_items = 5, 3
    items_by_gram = {}
    for i, item in enumerate(items):
        for gram in set(split_ngrams(item, n)):
            items_by_gram.setdefault(gram, set()).add(i)
    by_ngram = {
        (row, item)
        for row, text in enumerate(rows)
        for gram in split_ngrams(text, n)
        if len(items_by_gram.get(gram, ())) <= max_items
        for item in items_by_gram.get(gram, ())
    }
    by_question = {
        (row, item)
        for row, text in enumerate(rows)
        for item, question in enumerate(items)
        if text == question and len(split_words(text)) >= 3 and items.count(question) == 1
    }
    write_items(tmp_path / "eval_items.parquet", items)
    matches = find_matches(tmp_path / "eval_items.parquet", rows, n, max_items)
    pairs = {(int(m["uid"]), int(m["item"])): m["match"] for m in matches}
    assert len(pairs) == len(matches)
    assert set(pairs) == by_ngram | by_question
    assert {pair for pair, kind in pairs.items() if kind == "question"} == by_question


def test_load_contamination_index_of_a_changed_file_is_not_cached(tmp_path):
    """Cluster workers outlive a run, and the next run may write other items to the same path."""
    path = tmp_path / "eval_items.parquet"
    rows = ["what is the first question", "what is the second question"]
    write_items(path, rows[:1])
    assert [m["uid"] for m in find_matches(path, rows, 13, 10)] == ["0"]
    write_items(path, rows[1:])
    assert [m["uid"] for m in find_matches(path, rows, 13, 10)] == ["1"]
