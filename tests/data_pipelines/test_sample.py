"""The generated sample: wide enough, deterministic, answerable, and free of leaks."""

import hashlib
import json

import pytest

from data_pipelines.params import SampleParams
from data_pipelines.sources.sample.family import question
from data_pipelines.sources.sample.generate import FAMILIES, generate

ALL = [(mixture, family) for mixture, members in FAMILIES.items() for family in members]


def test_enough_families_in_every_mixture():
    assert set(FAMILIES) == {"muffin", "t0_sf", "niv2", "cot"}
    assert len([f for _, f in ALL if not f.heldout]) >= 24
    assert len([f for _, f in ALL if f.heldout]) >= 6
    assert len({f.name for _, f in ALL}) == len(ALL)
    assert {mixture for mixture, f in ALL if f.heldout} == set(FAMILIES)


@pytest.mark.parametrize(("mixture", "family"), ALL, ids=[f.name for _, f in ALL])
def test_questions_are_well_formed(mixture, family):
    assert len(family.templates) >= 2
    questions = [question(family, 0, "train", i) for i in range(200)]
    assert {q.template for q in questions} == set(range(len(family.templates)))
    for q in questions:
        assert q.instruction.strip()
        assert q.item.target.strip()
        if q.item.options:
            assert q.item.target in q.item.options
            assert len(set(q.item.options)) == len(q.item.options)
        if mixture == "niv2":
            assert q.item.fields["input"]
        if mixture == "cot":
            assert q.item.rationale
    # The position of the right option gives nothing away.
    if questions[0].item.options:
        first = sum(q.item.options[0] == q.item.target for q in questions) / len(questions)
        assert first == pytest.approx(1 / len(questions[0].item.options), abs=0.12)
    assert question(family, 0, "train", 7) == question(family, 0, "train", 7)
    assert [question(family, 1, "train", i) for i in range(20)] != questions[:20]


def words(fields):
    return fields["input"].split()


def numbers(fields):
    return [int(word) for word in words(fields)]


# An independent solver for each family whose answer is a computation.
SOLVERS = {
    "first_word": lambda f: words(f)[0],
    "last_word": lambda f: words(f)[-1],
    "second_word": lambda f: words(f)[1],
    "first_number": lambda f: words(f)[0],
    "first_name": lambda f: words(f)[0],
    "last_name": lambda f: words(f)[-1],
    "reverse_list": lambda f: " ".join(words(f)[::-1]),
    "copy_list": lambda f: " ".join(words(f)),
    "count_words": lambda f: str(len(words(f))),
    "next_number": lambda f: str(2 * numbers(f)[-1] - numbers(f)[-2]),
    "next_letter": lambda f: chr(ord(words(f)[-1]) + 1),
    "largest_of_two": lambda f: str(max(numbers(f))),
    "largest_of_three": lambda f: str(max(numbers(f))),
    "smallest_of_two": lambda f: str(min(numbers(f))),
    "smallest_of_three": lambda f: str(min(numbers(f))),
    "add_story": lambda f: str(int(f["a"]) + int(f["b"])),
    "combine_story": lambda f: str(int(f["a"]) + int(f["b"])),
    "subtract_story": lambda f: str(int(f["a"]) - int(f["b"])),
    "double_story": lambda f: str(2 * int(f["a"])),
    "older_story": lambda f: max([(int(f["a"]), f["p"]), (int(f["b"]), f["q"])])[1],
    "word_in_list": lambda f: "yes" if f["value"] in f["list"].split() else "no",
    "name_in_list": lambda f: "yes" if f["value"] in f["list"].split() else "no",
}


@pytest.mark.parametrize("name", SOLVERS)
def test_answers_are_right(name):
    (family,) = [family for _, family in ALL if family.name == name]
    for i in range(100):
        item = question(family, 3, "train", i).item
        assert SOLVERS[name](item.fields) == item.target


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_seed_same_bytes_and_heldout_families_are_never_trained_on(tmp_path):
    params = SampleParams(examples_per_family=20, held_out_items=10, text_documents=50)
    generate(tmp_path / "a", params)
    generate(tmp_path / "b", params)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    heldout = {family.name for _, family in ALL if family.heldout}
    benchmarks = tmp_path / "a" / "benchmarks" / "sample"
    assert {path.stem for path in benchmarks.iterdir()} == heldout
    for name in heldout:
        assert not list((tmp_path / "a").glob(f"[!b]*/*{name}*"))
    assert len((tmp_path / "a" / "text" / "sample.txt").read_text().splitlines()) == 50
    item = json.loads((benchmarks / "qa_what.jsonl").read_text().splitlines()[0])
    assert item["answer"] in item["options"]
