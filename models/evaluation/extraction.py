"""From what a model wrote to the answer it gave."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_MARK = re.compile(r"answer is:?", re.IGNORECASE)


def final_answer(text: str) -> str:
    """What follows the last "the answer is", or the whole text; closing full stop removed."""
    marks = list(_MARK.finditer(text))
    answer = text[marks[-1].end() :] if marks else text
    return " ".join(answer.split()).removesuffix(".").strip()


def is_correct(written: str, answer: str) -> bool:
    """Whether the answer given equals the one expected, case and spacing aside.

    Where a number is expected, the last number counts: "7 apples" is 7, "1,200" is 1200.
    """
    given, expected = final_answer(written), final_answer(answer)
    if _NUMBER.fullmatch(expected):
        numbers = _NUMBER.findall(re.sub(r"(?<=\d),(?=\d{3})", "", given))
        return bool(numbers) and float(numbers[-1]) == float(expected)
    return given.casefold() == expected.casefold()
