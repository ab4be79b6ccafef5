"""The published files: their folder, FLANMOE_FLAN_FILES, their sources and numbers of items."""

import os
from pathlib import Path

ROOT = Path(os.environ.get("FLANMOE_FLAN_FILES", ""))
ALL_SOURCES = ("cot/*", "niv2/*", "muffin/*", "t0/*")
FEW_SOURCES = ("cot/flan", "muffin/arc", "muffin/trec", "t0/arc", "t0/trec")
"""Sources of the training data: every one, and those of the short pipeline."""

NUM_ITEMS = {
    # suite: (items, rejected rows); three published rows of bbh are malformed.
    "bbh": (5008, 3), "mmlu": (12244, 0), "mmlu_dev": (225, 0), "gsm8k": (660, 0),
    "svamp": (700, 0), "asdiv": (2305, 0), "strategyqa": (2061, 0),
    "strategyqa_bigbench": (500, 0), "arc_challenge": (1471, 0), "arc_easy": (570, 0),
    "boolq": (2000, 0), "elementary_science": (384, 0), "tydiqa": (3097, 0), "mgsm": (2000, 0),
    "niv2": (500, 0),
}  # fmt: skip
