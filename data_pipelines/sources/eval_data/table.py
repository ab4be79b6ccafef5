"""Which reader reads which format of evaluation files. A new one: a function and a line below."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from data_pipelines.example import RejectedRow
from data_pipelines.sources.eval_data import (
    arithmetic,
    exemplars,
    instructions,
    items,
    knowledge,
    reading,
)
from data_pipelines.sources.eval_data.item import EvalItem
from data_pipelines.sources.part import Part

Reader = Callable[[Part], Iterator[EvalItem | RejectedRow]]

QUESTIONS: dict[str, Reader] = {
    "items": items.items,
    "bbh": knowledge.bbh,
    "mmlu": knowledge.mmlu,
    "gsm8k": arithmetic.gsm8k,
    "svamp": arithmetic.svamp,
    "asdiv": arithmetic.asdiv,
    "mgsm": arithmetic.mgsm,
    "arc": reading.arc,
    "boolq": reading.boolq,
    "strategyqa": reading.strategyqa,
    "tydiqa": reading.tydiqa,
    "niv2_test": instructions.niv2,
}
"""Items that are scored, so training data is kept from them."""

EXEMPLARS: dict[str, Reader] = {
    "bbh_prompt": exemplars.bbh_prompt,
    "mmlu_cot": exemplars.mmlu_cot,
    "gsm8k_prompt": exemplars.gsm8k_prompt,
}
"""Worked examples, shown before questions and never scored."""

READERS = QUESTIONS | EXEMPLARS
