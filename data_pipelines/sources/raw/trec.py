"""TREC questions by kind of answer (Li & Roth 2002): `COARSE:fine question`, Latin-1."""

from __future__ import annotations

from data_pipelines.sources.part import BadRow
from data_pipelines.sources.raw.row import RawRow

COARSE = {
    "ABBR": "abbreviation",
    "ENTY": "entity",
    "DESC": "description",
    "HUM": "person",
    "LOC": "location",
    "NUM": "number",
}
FINE = (
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
"""The 50 fine labels in the order of the data set on the hub, which templates count on."""


def trec(line: str) -> RawRow:
    """What kind of answer a question asks for."""
    label, _, question = line.strip().partition(" ")
    coarse, _, _ = label.partition(":")
    if coarse not in COARSE or label not in FINE:
        raise BadRow(f"unknown label {label!r}")
    if not question.strip():
        raise BadRow("no question")
    text = question.strip()
    return RawRow(
        columns={
            "text": text,
            "coarse_label": list(COARSE).index(coarse),
            "fine_label": FINE.index(label),
        },
        question=text,
        answer=COARSE[coarse],
        options=tuple(COARSE.values()),
    )
