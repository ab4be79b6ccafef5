"""Which reader reads which format of evaluation files. A new one: a function and a line below."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from data_pipelines.example import Refused
from data_pipelines.sources.benchmarks import arithmetic, items, knowledge, reading
from data_pipelines.sources.benchmarks.item import Item
from data_pipelines.sources.part import Part

READERS: dict[str, Callable[[Part], Iterator[Item | Refused]]] = {
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
}
