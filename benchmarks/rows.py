"""Generate rendered FLAN rows for speed measurements.

Words follow Zipf's law, lengths those of the real mixture (about 130 input and 12 target tokens);
no two rows are equal.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SYLLABLES = [c + v + e for c in "bcdfghklmnprstvw" for v in "aeiou" for e in ("", "n", "r", "s")]
NUM_WORDS = 30_000
NUM_TASKS = 40
BATCH_ROWS = 5_000
TASK_SOURCES = ("Flan2021", "T0", "NIv2", "CoT")


def write_rows(path: Path, num_rows: int, seed: int = 0) -> None:
    """Write JSON lines with `inputs, targets, task_name, task_source, template_type`."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array(
        ["".join(rng.choice(SYLLABLES, size)) for size in rng.integers(1, 4, NUM_WORDS)]
    )
    weights = 1 / np.arange(1, NUM_WORDS + 1)
    weights /= weights.sum()
    with path.open("w", encoding="utf-8") as file:
        for first_row in range(0, num_rows, BATCH_ROWS):
            count = min(BATCH_ROWS, num_rows - first_row)
            input_words = np.clip(rng.lognormal(4.1, 0.7, count), 5, 400).astype(int)
            target_words = np.clip(rng.lognormal(1.3, 0.8, count), 1, 60).astype(int)
            num_words = input_words.sum() + target_words.sum()
            words = vocabulary[rng.choice(NUM_WORDS, num_words, p=weights)]
            start = 0
            for row in range(count):
                question = " ".join(words[start : start + input_words[row]])
                start += input_words[row]
                answer = " ".join(words[start : start + target_words[row]])
                start += target_words[row]
                task = int(rng.integers(NUM_TASKS))
                source = TASK_SOURCES[task % 4]
                record = {
                    "inputs": f"Question: {question}?\nAnswer:",
                    "targets": answer,
                    "task_name": f"{source.lower()}_{task}",
                    "task_source": source,
                    "template_type": "zs_noopt",
                }
                file.write(json.dumps(record) + "\n")
