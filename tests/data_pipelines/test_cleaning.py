"""Duplicates and overlaps, against brute force over word lists."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.cleaning.contamination import load_contamination_index
from data_pipelines.cleaning.duplicates import MINIMA, signatures, similarity
from data_pipelines.cleaning.words import Words, joined, normalised
from data_pipelines.params import CleanParams, FetchParams, MixParams, ReadParams
from tests.data_pipelines.conftest import Room


def words_of(text):
    """The brute-force version."""
    return re.findall(r"[^\W_]+", text.lower())


def grams_of(text, n):
    words = words_of(text)
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


TEXTS = st.lists(st.text(alphabet="aBé1 .,\n-_", max_size=30), min_size=1, max_size=12)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 5))
def test_ngrams_are_those_of_the_words(texts, n):
    grams = Words.of(normalised(pa.array(texts))).grams(n)
    expected = [gram for text in texts for gram in grams_of(text, n)]
    counts = [len(grams_of(text, n)) for text in texts]
    if any(words_of(text) == [] for text in texts):
        # A text without words counts as one empty word; no n-gram of two or more holds it.
        n_is_one = n == 1
        expected = expected if not n_is_one else None
    if expected is None:
        return
    assert np.diff(grams.offsets).tolist() == counts
    # Equal n-grams have equal hashes, others have others.
    assert len(set(zip(expected, grams.hashes.tolist(), strict=True))) == len(set(expected))
    assert len(set(grams.hashes.tolist())) == len(set(expected))


def test_joined_texts_have_single_spaces():
    a, b = normalised(pa.array(["A b!", "", " c"])), normalised(pa.array(["", "", "d"]))
    assert joined(a, b).to_pylist() == ["a b", "", "c d"]


def test_similarity_estimates_jaccard():
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(500)]
    first = [rng.choices(vocabulary, k=120) for _ in range(60)]
    second = []
    for words in first:
        changed = list(words)
        for place in rng.sample(range(120), rng.randrange(0, 30)):
            changed[place] = rng.choice(vocabulary)
        second.append(changed)

    def made(rows):
        texts = pa.array([" ".join(words) for words in rows])
        empty = pa.array([""] * len(rows))
        return signatures(pa.array([str(i) for i in range(len(rows))]), empty, texts, empty)

    def low(table):
        joined_bytes = b"".join(table["whole"].to_pylist())
        return np.frombuffer(joined_bytes, np.uint8).reshape(-1, MINIMA)

    estimate = similarity(low(made(first)), low(made(second)))
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        x, y = set(grams_of(" ".join(a), 5)), set(grams_of(" ".join(b), 5))
        # 128 minima: the standard error is at most 0.044.
        assert estimate[i] == pytest.approx(len(x & y) / len(x | y), abs=0.16)


# A room of its own: one NIV2-like export against a small suite ----------------------------------

LONG = " ".join(f"word{i}" for i in range(40))
PASSAGE = " ".join(f"passage{i}" for i in range(30))
BODY = " ".join(f"body{i}" for i in range(40))
ITEMS = [
    {"question": f"Tell me {LONG}?", "answer": "#### 1"},
    {"question": "Is this a short whole question", "answer": "#### 2"},
    {"question": "Too short", "answer": "#### 3"},
    {"question": "the same words in two items of this suite", "answer": "#### 4"},
    {"question": "The same words: in two items of this suite!", "answer": "#### 5"},
    *[
        {"question": f"item{i} " + " ".join(f"common{j}" for j in range(14)), "answer": "#### 6"}
        for i in range(12)
    ],
]
ROWS = {
    "thirteen": "so " + " ".join(f"word{i}" for i in range(10, 23)) + " it is",
    "twelve": "so " + " ".join(f"word{i}" for i in range(10, 22)) + " it is",
    "whole": "IS THIS a short, whole question?!",
    "inside": "is this a short whole question perhaps",
    "too short": "too short",
    "shared question": "the same words in two items of this suite",
    "boilerplate": " ".join(f"common{j}" for j in range(14)),
    "innocent": "what else is there to say about the weather of the day",
}


def room_of(tmp_path, rows, **changes):
    """A room over an export of (inputs, targets, task) and the suite above."""
    root = tmp_path / "root"
    (root / "export").mkdir(parents=True)
    (root / "eval/gsm8k").mkdir(parents=True)
    lines = [
        {"inputs": i, "targets": t, "task_name": task, "task_source": source}
        for i, t, task, source in rows
    ]
    (root / "export/a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (root / "eval/gsm8k/test.jsonl").write_text("".join(json.dumps(i) + "\n" for i in ITEMS))
    room = Room(
        tmp_path / "workspace",
        fetch=FetchParams(
            sources=("flan/export", "benchmarks/gsm8k"), root=str(root), verify=False
        ),
        read=ReadParams(),
        mix=MixParams(
            num_examples=10000, text="examples", few_shot_share=0.0, validation_share=0.3
        ),
        **changes,
    )
    return room.run("fetch", "benchmarks", "read", "clean", "mix")


def mixed(room):
    return pq.read_table(room.workspace / "data/mixture/examples").to_pylist()


def test_overlaps_are_found_named_and_dropped(tmp_path):
    room = room_of(tmp_path, [(text, "yes", name, "flan") for name, text in ROWS.items()])
    found = pq.read_table(room.workspace / "data/clean/contamination.parquet").to_pylist()
    assert {(row["task"], row["how"], row["item"]) for row in found} == {
        ("thirteen", "ngram", "test-0"),
        ("whole", "whole", "test-1"),
    }
    assert {row["task"] for row in mixed(room)} == set(ROWS) - {"thirteen", "whole"}
    report = room.json("clean/report.json")["contamination"]["gsm8k"]
    assert (report["items"], report["items_found"]) == (len(ITEMS), 2)
    assert room.json("mixture/contamination.json")["gsm8k"]["num_contaminated"] == 0


def test_overlaps_can_be_kept_and_are_then_flagged_and_counted(tmp_path):
    rows = [(text, "yes", name, "flan") for name, text in ROWS.items()]
    room = room_of(tmp_path, rows, clean=CleanParams(contamination="flag"))
    flags = {row["task"]: row["flags"] for row in mixed(room)}
    assert set(flags) == set(ROWS)
    assert {task for task, flagged in flags.items() if flagged} == {"thirteen", "whole"}
    assert flags["whole"] == ["contaminated:gsm8k"]
    assert room.json("mixture/contamination.json")["gsm8k"] == {
        "num_items": len(ITEMS), "num_contaminated": 2, "tasks": {"test": ["test-0", "test-1"]},
    }  # fmt: skip


def test_an_overlap_in_the_answer_or_another_ngram_length_counts_too(tmp_path):
    rows = [
        ("say it", ROWS["thirteen"], "in the answer", "flan"),
        (ROWS["twelve"], "yes", "twelve", "flan"),
        ("other words", "no", "other", "flan"),
    ]
    room = room_of(tmp_path, rows, clean=CleanParams(ngram=12))
    assert {row["task"] for row in mixed(room)} == {"other"}


def test_tasks_are_left_out_by_name(tmp_path):
    rows = [("a b", "c", "task685_mmmlu_answer_generation_clinical_knowledge", "niv2"),
            ("d e", "f", "task001", "niv2")]  # fmt: skip
    room = room_of(tmp_path, rows)
    assert {row["task"] for row in mixed(room)} == {"task001"}
    assert room.json("clean/report.json")["rows_excluded"] == 1


NEAR = [
    (f"{PASSAGE} {BODY} end", "yes", "a", "flan"),
    (f"{PASSAGE} {BODY} fin", "yes", "b", "t0"),  # near, across tasks and mixtures
    (f"{PASSAGE} {BODY} other", "no", "c", "flan"),  # the same but for the answer
    ("What is it?", "yes", "d", "flan"),
    ("what IS it", "Yes!", "e", "cot"),  # exact but for case and punctuation
    ("what is that", "yes", "f", "flan"),
]


def test_duplicates_are_dropped_across_tasks_but_not_contrasts(tmp_path):
    room = room_of(tmp_path, NEAR)
    found = pq.read_table(room.workspace / "data/clean/duplicates.parquet").to_pylist()
    assert sorted(row["how"] for row in found) == ["exact", "near"]
    tasks = {row["task"] for row in mixed(room)}
    assert {"c", "f"} < tasks
    assert len(tasks & {"a", "b"}) == len(tasks & {"d", "e"}) == 1


def test_near_duplicates_can_be_left_alone(tmp_path):
    room = room_of(tmp_path, NEAR, clean=CleanParams(near_similarity=1.0))
    assert {"a", "b", "c"} <= {row["task"] for row in mixed(room)}


def test_flagged_duplicates_lie_on_one_side_of_the_split(tmp_path):
    rows = []
    for i in range(60):
        body = " ".join(f"q{i}w{j}" for j in range(60))
        rows += [(f"{body} one", "yes", "a", "flan"), (f"{body} two", "yes", "b", "flan")]
    room = room_of(tmp_path, rows, clean=CleanParams(duplicates="flag"))
    splits = {}
    for row in mixed(room):
        splits.setdefault(row["inputs"].split()[0], set()).add(row["split"])
    assert len(mixed(room)) == 120
    assert all(len(sides) == 1 for sides in splits.values())
    assert {side for sides in splits.values() for side in sides} == {"train", "validation"}


def test_questions_about_one_passage_are_no_duplicates(tmp_path):
    """Most of their words are the passage's; the question's own decide."""
    root = tmp_path / "root"
    (root / "raw/quail").mkdir(parents=True)
    asked = ["What did the man eat?", "Where does the woman live now?", "What did the man eat ?"]
    rows = [
        {"context": f"{LONG} {PASSAGE}", "question": question, "answers": ["x", "not enough"],
         "correct_answer_id": "1"} for question in asked
    ]  # fmt: skip
    (root / "raw/quail/challenge.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (root / "eval/gsm8k").mkdir(parents=True)
    (root / "eval/gsm8k/test.jsonl").write_text(json.dumps(ITEMS[0]) + "\n")
    room = Room(
        tmp_path / "workspace",
        fetch=FetchParams(
            sources=("muffin/quail", "benchmarks/gsm8k"), root=str(root), verify=False
        ),
    ).run("fetch", "benchmarks", "read", "clean")
    assert room.json("clean/report.json")["duplicates"] == {"exact": 1}


def test_the_guard_over_random_texts_is_brute_force(tmp_path):
    rng = random.Random(1)
    vocabulary = [f"v{i}" for i in range(12)]

    def text(size):
        return " ".join(rng.choices(vocabulary, k=size))

    items = [text(rng.randrange(3, 25)) for _ in range(40)]
    rows = [text(rng.randrange(3, 40)) for _ in range(60)]
    rows += [items[3], items[7] + " tail", rng.choice(items)]
    table = pa.table(
        {
            "suite": ["s"] * 40, "task": ["t"] * 40, "id": [str(i) for i in range(40)],
            "question": items, "text": items,
        }
    )  # fmt: skip
    pq.write_table(table, tmp_path / "eval_items.parquet")
    n, most = 5, 3
    owners = {}
    for i, item in enumerate(items):
        for gram in set(grams_of(item, n)):
            owners.setdefault(gram, set()).add(i)
    expected = {
        (row, item)
        for row, body in enumerate(rows)
        for gram in grams_of(body, n)
        if len(owners.get(gram, ())) <= most
        for item in owners.get(gram, ())
    }
    whole = {
        (row, item)
        for row, body in enumerate(rows)
        for item, other in enumerate(items)
        if body == other and len(words_of(body)) >= 3 and items.count(other) == 1
    }
    head = pa.table(
        {"uid": [str(i) for i in range(len(rows))], "mixture": ["m"] * len(rows),
         "task": ["t"] * len(rows)}
    )  # fmt: skip
    texts = normalised(pa.array(rows))
    found = load_contamination_index(tmp_path / "eval_items.parquet", n, most).matches(head, texts, texts).to_pylist()
    assert {(int(r["uid"]), int(r["item"])) for r in found} == expected | whole
    assert {(int(r["uid"]), int(r["item"])) for r in found if r["how"] == "whole"} == whole


def test_plain_text_is_kept_from_evaluation_too(tmp_path):
    room = Room(tmp_path / "w").run("fetch", "benchmarks")
    item = json.loads(
        sorted((tmp_path / "w/data/raw/benchmarks/sample").glob("qa_what.jsonl"))[0]
        .read_text().splitlines()[0]
    )  # fmt: skip
    path = tmp_path / "w/data/raw/text/sample.txt"
    before = path.read_text()
    path.write_text(before + "leaked: " + item["question"].replace("\n", " ") + "\n")
    room.run("read", "clean", "mix")
    texts = pq.read_table(tmp_path / "w/data/mixture/text")["text"].to_pylist()
    assert not any("leaked" in text for text in texts)
    assert len(texts) <= len(before.splitlines())


def test_a_worker_that_outlives_a_run_sees_the_items_of_the_next(tmp_path):
    """Workers of a cluster do; what they remember of a file must not outlive the file."""
    room = room_of(tmp_path, [(text, "yes", name, "flan") for name, text in ROWS.items()])
    items = tmp_path / "root/eval/gsm8k/test.jsonl"
    items.write_text(json.dumps({"question": ROWS["innocent"], "answer": "#### 1"}) + "\n")
    room.run("fetch", "benchmarks", "read", "clean")
    found = pq.read_table(room.workspace / "data/clean/contamination.parquet")
    assert found["task"].to_pylist() == ["innocent"]


def test_another_threshold_finds_no_fewer(tmp_path):
    room = room_of(tmp_path, NEAR)
    loose = room.but(clean=replace(room.clean, near_similarity=0.5))
    loose.run("clean")
    assert loose.json("clean/report.json")["duplicates"]["near"] >= 1
