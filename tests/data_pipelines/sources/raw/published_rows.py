"""A row in the published format of each raw data set, with its expected question and answer."""

import json
from dataclasses import dataclass

from tests.data_pipelines.sources.factories import json_lines

ARC = {
    "id": "1",
    "question": {
        "stem": "Why?",
        "choices": [{"text": "x", "label": "A"}, {"text": "y", "label": "B"}],
    },
    "answerKey": "B",
}


@dataclass(frozen=True)
class PublishedRow:
    """Content of a file, and the question and answer of its first example."""

    content: str | bytes
    question: str
    answer: str
    file: str = "rows"
    encoding: str = "utf-8"


PUBLISHED_ROWS = {
    "ag_news": PublishedRow(
        '"3","Title\\here","Text, ""quoted"""\n', 'Title here Text, "quoted"', "business"
    ),
    "arc": PublishedRow(json_lines(ARC), "Why?", "y"),
    "boolq": PublishedRow(
        json_lines({"question": "is it", "passage": "P", "label": True}), "is it", "yes"
    ),
    "cb": PublishedRow(
        json_lines({"premise": "P", "hypothesis": "H", "label": "neutral"}),
        "H",
        "it is not possible to tell",
    ),
    "commonsense_qa": PublishedRow(json_lines(ARC), "Why?", "y"),
    "copa": PublishedRow(
        json_lines(
            {"premise": "P.", "choice1": "a", "choice2": "b", "question": "cause", "label": 1}
        ),
        "P. cause",
        "b",
    ),
    "cosmos_qa": PublishedRow(
        'id,context,question,answer0,answer1,answer2,answer3,label\r\n1,"C, c",Q,a,b,c,None,3\r\n',
        "Q",
        "None",
    ),
    "dart": PublishedRow(
        json.dumps(
            [
                {
                    "tripleset": [["s", "p", "o"], ["t", "q", "r"]],
                    "annotations": [{"text": "one"}, {"text": "two"}],
                }
            ]
        ),
        "s | p | o; t | q | r",
        "one",
    ),
    "dream": PublishedRow(
        json.dumps(
            [[["M: hi", "W: ho"], [{"question": "Q?", "choice": ["a", "b"], "answer": "b"}], "1"]]
        ),
        "Q?",
        "b",
    ),
    "e2e": PublishedRow("mr,ref\r\nname[A],One.\r\nname[A],Two.\r\n", "name[A]", "One."),
    "mrpc": PublishedRow(
        b"\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
        b'1\t1\t2\tHe said "so.\tSo, he said.\r\n',
        'He said "so. So, he said.',
        "yes",
    ),
    "multirc": PublishedRow(
        json_lines(
            {
                "passage": {
                    "text": "T",
                    "questions": [
                        {
                            "question": "Q?",
                            "answers": [{"text": "a", "label": 0}, {"text": "b", "label": 1}],
                        }
                    ],
                }
            }
        ),
        "Q? a",
        "no",
    ),
    "piqa": PublishedRow(
        json_lines({"goal": "G", "sol1": "a", "sol2": "b"}), "G", "b", file="valid.jsonl"
    ),
    "qasc": PublishedRow(json_lines({**ARC, "fact1": "f"}), "Why?", "y"),
    "qed": PublishedRow(
        json_lines(
            {
                "question_text": "who",
                "paragraph_text": "P",
                "title_text": "T",
                "original_nq_answers": [[{"string": "X of Y"}], [{"string": "X"}]],
            }
        ),
        "who",
        "X of Y",
    ),
    "quail": PublishedRow(
        json_lines(
            {"context": "C", "question": "Q", "answers": ["a", "b"], "correct_answer_id": "1"}
        ),
        "Q",
        "b",
    ),
    "record": PublishedRow(
        json_lines(
            {
                "passage": {
                    "text": "Ann met Bo",
                    "entities": [{"start": 0, "end": 2}, {"start": 8, "end": 9}],
                },
                "qas": [{"query": "@placeholder left", "answers": [{"text": "Bo"}]}],
            }
        ),
        "@placeholder left",
        "Bo",
    ),
    "rotten_tomatoes": PublishedRow(
        "caf\xe9 is nice .\n".encode("latin-1"),
        "caf\xe9 is nice .",
        "positive",
        file="rt-polarity.pos",
        encoding="latin-1",
    ),
    "rte": PublishedRow(
        json_lines({"premise": "P", "hypothesis": "H", "label": "not_entailment"}), "H", "no"
    ),
    "sst2": PublishedRow("0 one long string .\n", "one long string .", "negative"),
    "trec": PublishedRow(
        "HUM:ind Who is \xe9 ?\n".encode("latin-1"), "Who is \xe9 ?", "person", encoding="latin-1"
    ),
    "wic": PublishedRow(
        json_lines({"word": "w", "sentence1": "a", "sentence2": "b", "label": False}),
        "w a b",
        "no",
    ),
    "wsc": PublishedRow(
        json_lines({"text": "T", "target": {"span1_text": "n", "span2_text": "it"}, "label": True}),
        "T n it",
        "yes",
    ),
}


def make_raw_part(make_part, dataset, content=None, **options):
    """Write a file of a raw data set and return its Part; without content, its published row."""
    published = PUBLISHED_ROWS[dataset]
    if dataset == "piqa":
        make_part("valid-labels.lst", "1\n")
    return make_part(
        published.file,
        published.content if content is None else content,
        "raw",
        dataset=dataset,
        encoding=published.encoding,
        **options,
    )
