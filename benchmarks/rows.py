"""A file of any number of rendered FLAN rows, for speed measurements: words by Zipf's law, lengths
as on the real mixture (about 130 tokens in, 12 out), no two rows alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SYLLABLES = [c + v + e for c in "bcdfghklmnprstvw" for v in "aeiou" for e in ("", "n", "r", "s")]
WORDS = 30_000
TASKS = 40
BATCH = 5_000


def write_rows(path: Path, rows: int, seed: int = 0) -> None:
    """JSON lines with `inputs, targets, task_name, task_source, template_type`."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array(
        ["".join(rng.choice(SYLLABLES, size)) for size in rng.integers(1, 4, WORDS)]
    )
    weights = 1 / np.arange(1, WORDS + 1)
    weights /= weights.sum()
    sources = ("Flan2021", "T0", "NIv2", "CoT")
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, rows, BATCH):
            count = min(BATCH, rows - start)
            sizes = np.clip(rng.lognormal(4.1, 0.7, count), 5, 400).astype(int)
            answers = np.clip(rng.lognormal(1.3, 0.8, count), 1, 60).astype(int)
            words = vocabulary[rng.choice(WORDS, sizes.sum() + answers.sum(), p=weights)]
            at = 0
            for row in range(count):
                question = " ".join(words[at : at + sizes[row]])
                at += sizes[row]
                answer = " ".join(words[at : at + answers[row]])
                at += answers[row]
                task = int(rng.integers(TASKS))
                record = {
                    "inputs": f"Question: {question}?\nAnswer:",
                    "targets": answer,
                    "task_name": f"{sources[task % 4].lower()}_{task}",
                    "task_source": sources[task % 4],
                    "template_type": "zs_noopt",
                }
                file.write(json.dumps(record) + "\n")
