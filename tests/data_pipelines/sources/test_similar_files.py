"""Files named as hints for a missing file, for the usual mistakes in names and folders."""

import pytest

from data_pipelines.sources.similar_files import MAX_SUGGESTIONS, suggest_files


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("eval/svamp/SVAMP.json", "eval/svamp/svamp.json"),
        ("eval/svamp/SVAMP.json", "SVAMP.json"),
        ("eval/svamp/SVAMP.json", "downloads/SVAMP-main/SVAMP.json"),
        ("eval/svamp/SVAMP.json", "eval/svamp/SVAMP.json.gz"),
        ("eval/gsm8k/test.jsonl", "eval/GSM8K/Test.jsonl"),
        ("eval/strategyqa/train.json", "eval/strategyqa/strategyqa_train.json"),
        ("eval/boolq/val.jsonl", "eval/boolq/dev.jsonl"),
        ("raw/mrpc/msr_paraphrase_train.txt", "mrpc/msr-paraphrase-train.txt"),
        ("eval/svamp/SVAMP.json", "svamp/svamp.jsonl"),
        ("cot/flan_v2/*_train.tsv", "flan_v2/gsm8k_train.tsv"),
        ("niv2/tasks/*.json", "natural-instructions/tasks/task001_quoref.json"),
        ("eval/mmlu/test/*_test.csv", "mmlu/test/anatomy_test.csv"),
    ],
)
def test_suggest_files_of_a_file_under_another_name_returns_it(pattern, file):
    others = ["raw/trec/labels.txt", "notes/README.md", "eval/asdiv/nfolds/fold0.txt"]
    assert suggest_files(pattern, [*others, file]) == [file]


@pytest.mark.parametrize(
    ("pattern", "file"),
    [
        ("eval/svamp/SVAMP.json", "eval/bbh/snarks.json"),
        ("niv2/tasks/*.json", "eval/bbh/snarks.json"),
        ("cot/flan_v2/*_train.tsv", "mgsm/mgsm_de.tsv"),
        ("eval/boolq/val.jsonl", "eval/boolq/README.md"),
        ("eval/mmlu/test/*_test.csv", "eval/gsm8k/Test.jsonl"),
    ],
)
def test_suggest_files_of_unrelated_files_returns_none(pattern, file):
    assert suggest_files(pattern, [file]) == []


def test_suggest_files_orders_by_similarity_and_limits_their_number():
    best, second = "eval/svamp/svamp.json", "old/SVAMP.json"
    others = [f"eval/svamp/fold{number}.json" for number in range(5)]
    suggestions = suggest_files("eval/svamp/SVAMP.json", [*others, second, best])
    assert suggestions[:2] == [best, second]
    assert len(suggestions) == MAX_SUGGESTIONS
