"""The texts of an evaluation item's options, without their letters."""

from __future__ import annotations

import re

from data_pipelines.sources.eval_data.item import EvalItem

_LETTERED = re.compile(r"(?:^|\n)\([A-Z]\) ")
_LABEL = re.compile(r"\(?[A-Z]\)?")


def option_texts(item: EvalItem) -> tuple[str, ...]:
    """Return the text of each option; empty if the item has no options, or only letters.

    Where `options` are letters and the item does not state the texts, they are below the question,
    one to a line.
    """
    options = item.options or ()
    if item.option_texts:
        return item.option_texts
    if not options or not all(_LABEL.fullmatch(option) for option in options):
        return options
    texts = _LETTERED.split(item.text)[1:]
    return tuple(text.strip() for text in texts) if len(texts) == len(options) else ()
