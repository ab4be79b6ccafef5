"""TREC, questions by type of answer (Li & Roth 2002): `COARSE:fine question` in Latin-1."""

from __future__ import annotations

from data_pipelines.sources.part import InvalidRow
from data_pipelines.sources.raw.row import RawRow

ANSWER_BY_COARSE_LABEL = {
    "ABBR": "abbreviation",
    "ENTY": "entity",
    "DESC": "description",
    "HUM": "person",
    "LOC": "location",
    "NUM": "number",
}
FINE_LABELS = (
    *("ABBR:abb", "ABBR:exp"),
    *("ENTY:animal", "ENTY:body", "ENTY:color", "ENTY:cremat", "ENTY:currency", "ENTY:dismed"),
    *("ENTY:event", "ENTY:food", "ENTY:instru", "ENTY:lang", "ENTY:letter", "ENTY:other"),
    *("ENTY:plant", "ENTY:product", "ENTY:religion", "ENTY:sport", "ENTY:substance"),
    *("ENTY:symbol", "ENTY:techmeth", "ENTY:termeq", "ENTY:veh", "ENTY:word"),
    *("DESC:def", "DESC:desc", "DESC:manner", "DESC:reason"),
    *("HUM:gr", "HUM:ind", "HUM:title", "HUM:desc"),
    *("LOC:city", "LOC:country", "LOC:mount", "LOC:other", "LOC:state"),
    *("NUM:code", "NUM:count", "NUM:date", "NUM:dist", "NUM:money", "NUM:ord", "NUM:other"),
    *("NUM:period", "NUM:perc", "NUM:speed", "NUM:temp", "NUM:volsize", "NUM:weight"),
)
"""The 50 fine labels in the order of the data set on the Hugging Face hub, to which the indices in
promptsource's templates refer."""


def trec(line: str) -> RawRow:
    """Convert a line: which type of answer a question has.

    Raises:
        InvalidRow: The label is unknown, or the question is missing.
    """
    label, _, question = line.strip().partition(" ")
    coarse, _, _ = label.partition(":")
    if coarse not in ANSWER_BY_COARSE_LABEL or label not in FINE_LABELS:
        raise InvalidRow(f"unknown label {label!r}")
    if not question.strip():
        raise InvalidRow("no question")
    text = question.strip()
    return RawRow(
        columns={
            "text": text,
            "coarse_label": list(ANSWER_BY_COARSE_LABEL).index(coarse),
            "fine_label": FINE_LABELS.index(label),
        },
        question=text,
        answer=ANSWER_BY_COARSE_LABEL[coarse],
        options=tuple(ANSWER_BY_COARSE_LABEL.values()),
    )
