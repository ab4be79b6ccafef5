"""Instruction templates for sources that bring none of their own.

CoT rows are a question, an answer and a rationale; NIV2 rows a definition and an input. Several
phrasings of each, one chosen for a row by its hash, as FLAN does (arXiv 2301.13688, section 3).
"""

from __future__ import annotations

COT_WITH_RATIONALE: tuple[tuple[str, str], ...] = (
    (
        "{question} Let's think step by step.",
        "{rationale} The answer is {answer}.",
    ),
    (
        "Answer the question and explain how you got there. {question}",
        "{rationale} The answer is {answer}.",
    ),
    (
        "{question} Give your reasoning first.",
        "{rationale} The answer is {answer}.",
    ),
)

COT_DIRECT: tuple[tuple[str, str], ...] = (
    ("{question}", "{answer}"),
    ("Answer the question. {question}", "{answer}"),
    ("Question: {question} Answer:", "{answer}"),
)

NIV2: tuple[tuple[str, str], ...] = (
    ("Definition: {definition} Input: {input} Output:", "{output}"),
    ("{definition} Input: {input}", "{output}"),
    ("{definition}\n{input}", "{output}"),
)
