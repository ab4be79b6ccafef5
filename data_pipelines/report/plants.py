"""Planted overlaps: rows of the mixture into which evaluation items are inserted.

Written without the matcher (`data_pipelines.cleaning`): an import contract forbids it. A fault of
the matcher's normalisation or of its idea of an overlap is therefore not repeated here.
"""

from __future__ import annotations

import html
import json
import random
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]
"""An evaluation item: `suite`, `task`, and the fields of a line of its file in data/eval_data."""
Host = tuple[str, str]
"""Inputs and targets of a row of the mixture."""
NUM_PER_KIND = 200
_HOST_CHARACTERS = 1200
_SHORT_WORDS = 13
_SHUFFLED_CHARACTERS = 60
"""The words of shorter questions may be an item in another order, too."""
_BOILERPLATE_ITEMS = 20
"""Texts of a task with the same beginning from which the beginning counts as boilerplate."""
_INSTRUCTIONS = (
    "Answer the following question by reasoning step by step.",
    "Let's think step by step. So the answer is (A).",
    "Choose the correct option. OPTIONS:\n(A) yes\n(B) no\nAnswer:",
    "Question: which of the options above is correct? Explain your answer in one sentence.",
    "The following are multiple choice questions (with answers) about a subject.",
    "Read the passage and answer the question that follows it. Give only the answer, no reasons.",
)
_LAYOUTS: tuple[Callable[[Sequence[str]], str], ...] = (
    lambda options: "\nOPTIONS:\n" + "\n".join(f"- {option}" for option in options),
    lambda options: "\nOptions: " + "; ".join(options),
    lambda options: " " + " ".join(f"({'abcdefghij'[i]}) {o}" for i, o in enumerate(options)),
    lambda options: "\n" + "\n".join(f"{'ABCDEFGHIJ'[i]}. {o}" for i, o in enumerate(options)),
    lambda options: "\nIs it " + ", ".join(options[:-1]) + f" or {options[-1]}?",
)


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A row of the mixture with an evaluation item, or with boilerplate only."""

    kind: str
    inputs: str
    targets: str
    item: Item | None
    """The planted item; None if the row contains boilerplate only."""
    is_verbatim: bool = True
    """Whether all words of the item's text are in the row, in order."""


def make_plants(items: Sequence[Item], hosts: Sequence[Host], seed: int) -> Iterator[Plant]:
    """Yield about NUM_PER_KIND plants of each kind.

    Args:
        items: scored evaluation items.
        hosts: rows of the mixture, at least one.
        seed: seed of the choice of items, rows and layouts.
    """
    for kind, plant in _KINDS.items():
        rng = random.Random(f"{seed} {kind}")
        for item in _sample_evenly(_suitable_items(kind, items), rng):
            inputs, targets = plant(item, _sample_host(hosts, rng), rng)
            yield Plant(
                kind=kind,
                inputs=inputs,
                targets=targets,
                item=item,
                is_verbatim=kind not in NOT_VERBATIM,
            )
    yield from _make_boilerplate(items, hosts, seed)


def _suitable_items(kind: str, items: Sequence[Item]) -> Sequence[Item]:
    if kind == "short_with_options":
        return [item for item in items if _is_short(item) and _options(item)]
    if kind == "short_prefixed":
        return [item for item in items if _is_short(item) and not _options(item)]
    return items


def _sample_evenly(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """Return NUM_PER_KIND items, the same number of each suite where it has enough."""
    by_suite: dict[str, list[Item]] = {}
    for item in items:
        by_suite.setdefault(item["suite"], []).append(item)
    queues = [rng.sample(group, min(len(group), NUM_PER_KIND)) for group in by_suite.values()]
    sample: list[Item] = []
    while queues and len(sample) < NUM_PER_KIND:
        sample += [queue.pop() for queue in queues]
        queues = [queue for queue in queues if queue]
    return sample[:NUM_PER_KIND]


def _sample_host(hosts: Sequence[Host], rng: random.Random) -> Host:
    inputs, targets = rng.choice(hosts)
    return inputs[:_HOST_CHARACTERS], targets[:_HOST_CHARACTERS]


def _options(item: Item) -> list[str]:
    """Return the texts of the item's options; empty if they are letters or yes and no."""
    options = [str(option) for option in item.get("options") or ()]
    if all(len(option.strip("()")) == 1 for option in options):
        lines = re.findall(r"^\(?[A-J][).] +(.+)$", item["text"], re.M)
        options = [line.strip() for line in lines] if len(lines) == len(options) else []
    num_words = sum(len(option.split()) for option in options)
    return options if len(options) > 1 and num_words >= 3 else []


def _is_short(item: Item) -> bool:
    return 3 <= len(item["question"].split()) < _SHORT_WORDS and not item.get("context")


def _verbatim(item: Item, host: Host, rng: random.Random) -> Host:
    return item["text"], item["answer"]


def _change_case_and_punctuation(item: Item, host: Host, rng: random.Random) -> Host:
    text = re.sub(
        r"[,;:.?!]+(?=\s|$)", lambda _: rng.choice([" ,", "...", " -", "!"]), item["text"]
    )
    return rng.choice([str.upper, str.lower, str.title])(text), host[1]


def _embed(item: Item, host: Host, rng: random.Random) -> Host:
    words = host[0].split(" ")
    place = rng.randrange(len(words) + 1)
    return f"{' '.join(words[:place])}\n{item['text']}\n{' '.join(words[place:])}", host[1]


def _write_short_with_options(item: Item, host: Host, rng: random.Random) -> Host:
    options = _options(item)
    prefix = rng.choice(["", "Question: ", "Q: ", f"{host[0]}\n\n"])
    ordered = rng.sample(options, len(options))
    return prefix + item["question"].strip() + rng.choice(_LAYOUTS)(ordered), item["answer"]


def _write_prefixed(item: Item, host: Host, rng: random.Random) -> Host:
    prefix = rng.choice(["Question: ", "Q: ", "Input: ", "Here is a question. "])
    return f"{prefix}{item['question'].strip()}\nAnswer:", item["answer"]


def _prepend_exemplar(item: Item, host: Host, rng: random.Random) -> Host:
    return f"Question: {item['text']}\nAnswer: {item['answer']}\n\n{host[0]}", host[1]


def _write_target(item: Item, host: Host, rng: random.Random) -> Host:
    # The words of a short question identify it only as a sentence or line of its own.
    separator = "\n" if _is_short(item) else " "
    return host[0], f"{host[1]}{separator}{item['text']}"


def _wrap_lines(item: Item, host: Host, rng: random.Random) -> Host:
    quoted = textwrap.indent(textwrap.fill(item["text"], 40, break_long_words=False,
                                           break_on_hyphens=False), "> ")  # fmt: skip
    return f"{host[0]}\n{quoted}\n", host[1]


def _mark_up(item: Item, host: Host, rng: random.Random) -> Host:
    escaped = html.escape(item["text"])
    words = [f"<b>{w}</b>" if i % 5 == 3 else w for i, w in enumerate(escaped.split())]
    return f"<p>{host[0]}</p><blockquote>{' '.join(words)}</blockquote>", host[1]


def _write_json(item: Item, host: Host, rng: random.Random) -> Host:
    record = {"id": 7, "question": item["text"]}
    return json.dumps(record, ensure_ascii=rng.random() < 0.5), host[1]


def _change_typography(item: Item, host: Host, rng: random.Random) -> Host:
    text = unicodedata.normalize("NFD", item["text"])
    for old, new in (("'", "\u2019"), (" ", "\u00a0"), ("-", "\u2010"), ("fi", "\ufb01")):
        text = text.replace(old, new)
    return f"{host[0]}\n\n{text}", host[1]


def _tokenize(item: Item, host: Host, rng: random.Random) -> Host:
    """Separate punctuation and contractions as in the Penn Treebank."""
    text = re.sub(r"(?i)(n't|'(?:s|re|ve|ll|d|m))\b", r" \1", item["text"])
    text = re.sub(r"([.,;:?!])(?=\s|$)", r" \1", text)
    quoted = re.sub(r'"([^"]*)"', r"`` \1 ''", text)
    return f"{host[0]}\n{quoted}", host[1]


def _replace_words(item: Item, host: Host, rng: random.Random) -> Host:
    words = [rng.choice(host[0].split() or ["and"]) if i % 10 == 5 else word
             for i, word in enumerate(item["text"].split())]  # fmt: skip
    return f"{host[0]}\n{' '.join(words)}", host[1]


_KINDS: dict[str, Callable[[Item, Host, random.Random], Host]] = {
    "verbatim": _verbatim,
    "case_and_punctuation": _change_case_and_punctuation,
    "embedded": _embed,
    "short_with_options": _write_short_with_options,
    "short_prefixed": _write_prefixed,
    "exemplar": _prepend_exemplar,
    "target": _write_target,
    "wrapped_lines": _wrap_lines,
    "markup": _mark_up,
    "json": _write_json,
    "typography": _change_typography,
    "tokenized": _tokenize,
    "words_replaced": _replace_words,
}
NOT_VERBATIM = frozenset(["words_replaced"])
"""Kinds that are not word for word in the row; their recall has no minimum."""


def _make_boilerplate(items: Sequence[Item], hosts: Sequence[Host], seed: int) -> Iterator[Plant]:
    """Yield rows that overlap with no item."""
    shared = _shared_beginnings(items)
    pools = {
        "shuffled_words": [item for item in items if len(item["question"]) >= _SHUFFLED_CHARACTERS],
        "fragment": [i for i in items if len(i["question"].split()) >= 2 * _SHORT_WORDS],
    }
    for kind in ("mixture_row", "instruction", "shared_text", "shuffled_words", "fragment"):
        rng = random.Random(f"{seed} {kind}")
        for item in _sample_evenly(pools.get(kind, items), rng):
            host = _sample_host(hosts, rng)
            words = item["question"].split()
            if kind == "mixture_row":
                text = ""
            elif kind == "instruction":
                text = rng.choice(_INSTRUCTIONS)
            elif kind == "shared_text":
                text = rng.choice(shared or _INSTRUCTIONS)
            elif kind == "shuffled_words":
                # Without spaces between words, the characters are shuffled.
                separator = " " if len(words) > len(item["question"]) / 12 else ""
                parts = words if separator else list(item["question"])
                text = separator.join(rng.sample(parts, len(parts)))
            else:
                start = rng.randrange(len(words) - 7)
                text = " ".join(words[start : start + 7])
            yield Plant(kind=kind, inputs=f"{host[0]}\n{text}", targets=host[1], item=None)


def _shared_beginnings(items: Sequence[Item]) -> list[str]:
    """Return beginnings of 14 words, each of more than _BOILERPLATE_ITEMS texts of a task."""
    counts = Counter(
        (item["suite"], item["task"], " ".join(item["question"].split()[:14]))
        for item in items
        if len(item["question"].split()) > 14
    )
    return sorted({text for (_, _, text), n in counts.items() if n > _BOILERPLATE_ITEMS})
