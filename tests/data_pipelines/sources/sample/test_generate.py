"""The generated sample: variety, determinism, right answers, and what training does not contain."""

import hashlib
import json

import pytest

from data_pipelines.params import SampleParams
from data_pipelines.sources.sample.family import draw_question
from data_pipelines.sources.sample.generate import FAMILIES, SAMPLE_SUITES, generate
from data_pipelines.sources.sample.lexicon import BAD, CATEGORIES, COLOURS, GOOD, NAMES, PLACES

ALL_FAMILIES = [(mixture, family) for mixture, members in FAMILIES.items() for family in members]
TRAINED = [family for _, family in ALL_FAMILIES if not family.held_out]
PARAMS = SampleParams(
    examples_per_family=20, held_out_items=10, text_documents=50, facts_bits_per_parameter=0.02
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of a small sample."""
    folder = tmp_path_factory.mktemp("sample")
    generate(folder, PARAMS)
    return folder


def test_families_of_every_mixture_include_training_and_held_out_families():
    assert set(FAMILIES) == {"muffin", "t0_sf", "niv2", "cot"}
    assert len({f.name for _, f in ALL_FAMILIES}) == len(ALL_FAMILIES)
    for is_held_out in (True, False):
        assert {mixture for mixture, f in ALL_FAMILIES if f.held_out == is_held_out} == set(
            FAMILIES
        )


@pytest.mark.parametrize(("mixture", "family"), ALL_FAMILIES, ids=[f.name for _, f in ALL_FAMILIES])
def test_draw_question_gives_well_formed_questions(mixture, family):
    assert len(family.templates) >= 2
    questions = [draw_question(family, 0, "train", i) for i in range(200)]
    assert {q.template for q in questions} == set(range(len(family.templates)))
    for q in questions:
        assert q.instruction.strip()
        assert q.item.target.strip()
        assert q.cluster == family.name
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


def content(question):
    return (*sorted(question.item.fields.items()), *sorted(question.item.options or ()))


@pytest.mark.parametrize("family", TRAINED, ids=[f.name for f in TRAINED])
@pytest.mark.parametrize("seed", [0, 1])
def test_draw_question_test_split_has_other_contents_than_training(family, seed):
    train = {content(draw_question(family, seed, "train", i)) for i in range(500)}
    test = [content(draw_question(family, seed, "test", i)) for i in range(100)]
    assert not train.intersection(test)
    assert len(set(test)) > 5


def words(text):
    return text.replace(".", " ").replace(",", " ").split()


def only_word_of(pool, text, plural=False):
    (word,) = [w for w in words(text) if w in pool or (plural and w.removesuffix("s") in pool)]
    return word


def kind_of(text):
    (kind,) = {name for name, members in CATEGORIES.items() for w in words(text) if w in members}
    return kind


def sentiment_of(text):
    is_good = {w in GOOD for w in words(text.replace("!", " ")) if w in GOOD + BAD}
    return "positive" if is_good == {True} else "negative"


# An independent solver for each family with a computable answer.
SOLVERS = {
    "sentiment_film": lambda f: sentiment_of(f["text"]),
    "sentiment_book": lambda f: sentiment_of(f["text"]),
    "sentiment_meal": lambda f: sentiment_of(f["text"]),
    "topic_word": lambda f: kind_of(f["text"]),
    "topic_sentence": lambda f: kind_of(f["text"]),
    "topic_pair": lambda f: kind_of(f["text"]),
    "qa_who": lambda f: only_word_of(NAMES, f["story"]),
    "qa_where": lambda f: only_word_of(PLACES, f["story"]),
    "colour_of": lambda f: only_word_of(COLOURS, f["story"]),
    "count_words": lambda f: str(len(f["input"].split())),
    "count_names": lambda f: str(len(f["input"].split())),
    "count_places": lambda f: str(len(f["input"].split())),
    "extract_name": lambda f: only_word_of(NAMES, f["input"]),
    "extract_place": lambda f: only_word_of(PLACES, f["input"]),
    "extract_colour": lambda f: only_word_of(COLOURS, f["input"]),
    "extract_number": lambda f: next(w for w in words(f["input"]) if w.isdigit()),
    "kind_story": lambda f: kind_of(f["a"]),
    "pair_story": lambda f: kind_of(f"{f['a']} {f['b']}"),
    "opinion_story": lambda f: sentiment_of(f"{f['first']} {f['second']}"),
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


def test_generate_is_deterministic(folder, tmp_path):
    generate(tmp_path, PARAMS)
    assert digests(folder) == digests(tmp_path)
    assert (folder / "text" / "sample.txt").read_text().count("\n") == 50 + 3 * 4 * 81


def test_generate_writes_held_out_families_as_items_only(folder):
    held_out = {family.name for _, family in ALL_FAMILIES if family.held_out}
    assert {path.stem for path in (folder / "eval_data" / "sample").iterdir()} == held_out
    for name in held_out:
        assert not list(folder.glob(f"[!e]*/*{name}*"))


@pytest.mark.parametrize("suite", SAMPLE_SUITES)
def test_generate_gives_every_item_of_a_suite_a_question_of_its_own(folder, suite):
    items = [
        json.loads(line)
        for path in (folder / "eval_data" / suite).iterdir()
        for line in path.read_text().splitlines()
    ]
    assert len({item["text"] for item in items}) > 0.98 * len(items)
    assert all(item["cluster"] and item["answer"] for item in items)
