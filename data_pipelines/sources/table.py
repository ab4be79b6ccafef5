"""Which loader reads which folder of data/raw. A new format: a file here and a line below."""

from __future__ import annotations

from data_pipelines.sources import cot, flan_export, niv2

LOADERS = {
    "muffin": flan_export,
    "t0_sf": flan_export,
    "niv2": niv2,
    "cot": cot,
}
