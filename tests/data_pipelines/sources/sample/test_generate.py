"""The generated sample: variety, determinism, right answers, and separate held-out families."""

import hashlib
import json

import pytest

from data_pipelines.params import SampleParams
from data_pipelines.sources.sample.family import draw_question
from data_pipelines.sources.sample.generate import FAMILIES, generate

ALL_FAMILIES = [(mixture, family) for mixture, members in FAMILIES.items() for family in members]


def test_families_of_every_mixture_include_training_and_held_out_families():
    assert set(FAMILIES) == {"muffin", "t0_sf", "niv2", "cot"}
    assert len([f for _, f in ALL_FAMILIES if not f.held_out]) >= 24
    assert len([f for _, f in ALL_FAMILIES if f.held_out]) >= 6
    assert len({f.name for _, f in ALL_FAMILIES}) == len(ALL_FAMILIES)
    assert {mixture for mixture, f in ALL_FAMILIES if f.held_out} == set(FAMILIES)


@pytest.mark.parametrize(("mixture", "family"), ALL_FAMILIES, ids=[f.name for _, f in ALL_FAMILIES])
def test_draw_question_gives_well_formed_questions(mixture, family):
    assert len(family.templates) >= 2
    questions = [draw_question(family, 0, "train", i) for i in range(200)]
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
    # The right option is in the first position as often as in any other.
    if questions[0].item.options:
        first = sum(q.item.options[0] == q.item.target for q in questions) / len(questions)
        assert first == pytest.approx(1 / len(questions[0].item.options), abs=0.12)
    assert draw_question(family, 0, "train", 7) == draw_question(family, 0, "train", 7)
    assert [draw_question(family, 1, "train", i) for i in range(20)] != questions[:20]


def words(fields):
    return fields["input"].split()


def numbers(fields):
    return [int(word) for word in words(fields)]


# An independent solver for each family with a computable answer.
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
def test_draw_question_target_is_the_right_answer(name):
    (family,) = [family for _, family in ALL_FAMILIES if family.name == name]
    for i in range(100):
        item = draw_question(family, 3, "train", i).item
        assert SOLVERS[name](item.fields) == item.target


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_generate_is_deterministic_and_excludes_held_out_families_from_training(tmp_path):
    params = SampleParams(examples_per_family=20, held_out_items=10, text_documents=50)
    generate(tmp_path / "a", params)
    generate(tmp_path / "b", params)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    held_out = {family.name for _, family in ALL_FAMILIES if family.held_out}
    eval_data = tmp_path / "a" / "eval_data" / "sample"
    assert {path.stem for path in eval_data.iterdir()} == held_out
    for name in held_out:
        assert not list((tmp_path / "a").glob(f"[!e]*/*{name}*"))
    assert len((tmp_path / "a" / "text" / "sample.txt").read_text().splitlines()) == 50
    item = json.loads((eval_data / "qa_what.jsonl").read_text().splitlines()[0])
    assert item["answer"] in item["options"]
