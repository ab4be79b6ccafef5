"""Reader of each evaluation format of the catalog.

To add a format, write a reader in a module of this folder and add a line to a table below.
"""

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

SCORED_READERS: dict[str, Reader] = {
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
"""Readers of scored items; the stage `clean` drops or flags training rows that match them."""

EXEMPLAR_READERS: dict[str, Reader] = {
    "bbh_prompt": exemplars.bbh_prompt,
    "mmlu_cot": exemplars.mmlu_cot,
    "gsm8k_prompt": exemplars.gsm8k_prompt,
}
"""Readers of few-shot exemplars, which are shown before questions and never scored."""

READERS = SCORED_READERS | EXEMPLAR_READERS
