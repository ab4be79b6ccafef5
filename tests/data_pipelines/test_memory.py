"""Ten times the rows, the same memory: what is larger than memory goes through files."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.rows import write_rows

SCRIPT = """
import resource, sys
from pathlib import Path
from data_pipelines.params import *
from tests.data_pipelines.conftest import Room
root, workspace = sys.argv[1:]
room = Room(
    Path(workspace),
    fetch=FetchParams(sources=("flan/export", "benchmarks/gsm8k"), root=root, verify=False),
    read=ReadParams(part_mb=1),
    mix=MixParams(num_examples=10**7, caps={}, shares=dict.fromkeys(MIXTURES, 1.0), window=4096),
    validate=ValidateParams(min_english_share=0.0),
    tokenizer=TokenizerParams(vocab_size=1000, num_sentinels=8, max_sentences=4000),
    pack=PackParams(encoder_length=512, decoder_length=128),
    engine=EngineParams(workers=1, memory_mb=96),
).run()
print(room.json("mixture/report.json")["examples"])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(tmp_path, rows):
    """(examples mixed, peak KiB) of the whole way over so many rows, in a process of its own."""
    root = tmp_path / f"root-{rows}"
    (root / "export").mkdir(parents=True)
    (root / "eval/gsm8k").mkdir(parents=True)
    write_rows(root / "export/rows.jsonl", rows)
    (root / "eval/gsm8k/test.jsonl").write_text('{"question": "what is it", "answer": "#### 1"}\n')
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), str(tmp_path / f"workspace-{rows}")],
        cwd=Path(__file__).parent.parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    examples, kib = done.stdout.split()[-2:]
    return int(examples), int(kib)


@pytest.mark.timeout(400)
def test_memory_does_not_grow_with_the_input(tmp_path):
    few, before = peak(tmp_path, 8_000)
    many, after = peak(tmp_path, 80_000)
    assert many > 9 * few
    assert after <= 1.2 * before, f"{before} KiB for {few} examples, {after} for {many}"
