"""Run the data stages over a generated export and print the peak memory.

    python -m tests.data_pipelines.memory_probe FOLDER NUM_ROWS

Prints the number of examples in the mixture and the peak resident memory in KiB, as JSON.
"""

import json
import resource
import sys
from pathlib import Path

from benchmarks.rows import write_rows
from data_pipelines.params import (
    MIXTURES,
    EngineParams,
    FetchParams,
    MixParams,
    PackParams,
    ReadParams,
    TokenizerParams,
    ValidateParams,
)
from tests.data_pipelines.factories import DataPipeline, write_json_lines


def run_stages(folder, num_rows):
    """Run all stages over `num_rows` generated rows; return the number of mixed examples."""
    root = folder / "root"
    write_json_lines(
        root / "eval/gsm8k/test.jsonl", [{"question": "what is it", "answer": "#### 1"}]
    )
    (root / "export").mkdir()
    write_rows(root / "export/rows.jsonl", num_rows)
    pipeline = DataPipeline(
        folder / "workspace",
        fetch=FetchParams(sources=("flan/export", "eval_data/gsm8k"), root=str(root), verify=False),
        read=ReadParams(part_mb=1),
        mix=MixParams(
            num_examples=10**7,
            caps={},
            shares=dict.fromkeys(MIXTURES, 1.0),
            examples_per_shard=4096,
        ),
        validate=ValidateParams(min_english_share=0.0),
        tokenizer=TokenizerParams(vocab_size=1000, num_sentinels=8, max_sentences=4000),
        pack=PackParams(encoder_length=512, decoder_length=128),
        engine=EngineParams(workers=1, memory_mb=96),
    )
    return pipeline.run().read_json("mixture/report.json")["examples"]


def main():
    folder, num_rows = sys.argv[1:]
    num_examples = run_stages(Path(folder), int(num_rows))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"num_examples": num_examples, "peak_kib": peak_kib}))


if __name__ == "__main__":
    main()
