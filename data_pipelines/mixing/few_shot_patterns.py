"""Few-shot prompts: one fixed form, or the forms of FLAN v2 (arXiv 2301.13688).

FLAN's code (github.com/google-research/FLAN, flan/v2: few_shot.py, tasks.py, mixtures_utils.py) has
ten few-shot patterns for each task, apart from its zero-shot templates. A prompt consists of
exemplars and the unanswered input:

    exemplar    inputs_prefix inputs delimiter targets_prefix targets separator
    input       inputs_prefix inputs delimiter targets_prefix

There are two kinds of prompts. `template_0to10_x_shot`: 25 candidates are drawn, and those that
have the template of the input are retained, on average 2.5 (one in ten). `template_mix_five_shot`:
five exemplars, each of any template that is not inverted, with one separator for the task. What
exceeds the length limit is dropped from the end.

Here the text between the prefixes is the row's rendered input, and a pattern belongs to a pair of
task and template. A row without any fitting exemplar stays zero-shot, where FLAN drops it, because
the rates of the tasks count rows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from data_pipelines.example import stable_fraction, stable_hash
from data_pipelines.params import MixParams

NUM_CANDIDATES = 25
SAME_TEMPLATE_SHARE = 0.1
"""Share of the candidates that have the template of the input: a task has ten templates."""
NUM_MIXED_EXEMPLARS = 5
MIXED_SEPARATORS = ("\n", "\n\n", "\n\n\n")
MIXED_SHARE = 0.25
"""Share of five-shot prompts. FLAN's submixtures with options (fsopt) have both kinds of prompts
equally, those without options (fsnoopt) only x-shot, and a task is in both (run_example.py)."""
COT_MIXED_SHARE = 0.5
"""The same for chain-of-thought tasks, which are in fsopt only."""


@dataclass(frozen=True)
class Exemplar:
    """An example that can be prepended to others."""

    uid: str
    template: str
    inputs: str
    targets: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Query:
    """The row to which exemplars are prepended."""

    key: str
    """uid, and the number of the repetition if there is one; seeds the random choices."""
    uid: str
    mixture: str
    task: str
    template: str
    inputs: str


@dataclass(frozen=True)
class FewShotPattern:
    """Text around the input and the target of an exemplar."""

    inputs_prefix: str
    delimiter: str
    targets_prefix: str
    separator: str

    def format_query(self, inputs: str) -> str:
        """Return an input that the target follows."""
        return f"{self.inputs_prefix}{inputs}{self.delimiter}{self.targets_prefix}"


PATTERNS = (
    FewShotPattern("", "\n", "", "\n\n"),
    FewShotPattern("", "\n\n", "", "\n\n\n"),
    FewShotPattern("Q: ", "\n", "A: ", "\n\n"),
    FewShotPattern("Q: ", "\n\n", "A: ", "\n\n\n"),
    FewShotPattern("Question: ", "\n", "Answer: ", "\n\n"),
    FewShotPattern("Question:\n", "\n\n", "Answer:\n", "\n\n\n"),
    FewShotPattern("Problem: ", "\n", "Answer: ", "\n"),
    FewShotPattern("Input: ", "\n", "Output: ", "\n\n"),
    FewShotPattern("[Q]: ", "\n****\n", "[A]: ", "\n\n\n"),
    FewShotPattern("question: ", "\n++++++++++\n", "answer: ", "\n\n"),
)
"""The ten most common kinds of prefixes and separators among FLAN's 1,190 patterns."""
CUED_PATTERNS = (
    FewShotPattern("", " ", "", "\n\n"),
    FewShotPattern("", "\n", "", "\n\n"),
    FewShotPattern("", " ", "", "\n\n\n"),
    FewShotPattern("", "\n", "", "\n"),
)
"""Patterns of a template that already ends with a cue such as `Answer:`."""


def compose_single(
    query: Query, same_template: Sequence[Exemplar], params: MixParams
) -> tuple[str, list[Exemplar]]:
    """Prepend 1 to `max_exemplars` exemplars of the same template, separated by a blank line.

    Args:
        query: the row.
        same_template: candidates of the query's task and template, in random order.
        params: seed, number and length limit.

    Returns:
        The inputs and the exemplars in them, possibly none.
    """
    others = [exemplar for exemplar in same_template if exemplar.uid != query.uid]
    # The pool is in random order; each row takes consecutive exemplars from its own start.
    chance = stable_hash(params.seed, "shots", query.key)
    num_exemplars = 1 + chance % params.max_exemplars
    selected, free_characters = [], params.max_few_shot_characters - len(query.inputs)
    blocks = []
    for step in range(min(num_exemplars, len(others))):
        exemplar = others[(chance // 64 + step) % len(others)]
        delimiter = " " if _has_cue(exemplar.inputs) else "\n"
        block = f"{exemplar.inputs}{delimiter}{exemplar.targets}\n\n"
        if len(block) <= free_characters:
            selected.append(exemplar)
            blocks.append(block)
            free_characters -= len(block)
    return "".join([*blocks, query.inputs]), selected


def compose_flan_v2(
    query: Query,
    same_template: Sequence[Exemplar],
    same_form: Sequence[Exemplar],
    params: MixParams,
) -> tuple[str, list[Exemplar]]:
    """Prepend exemplars in one of FLAN v2's two kinds of prompts.

    Args:
        query: the row.
        same_template: candidates of the query's task and template, in random order.
        same_form: candidates of the query's task whose templates have the same kind of target.
        params: seed and length limit.

    Returns:
        The inputs and the exemplars in them, possibly none.
    """
    rng = random.Random(stable_hash(params.seed, "shots", query.key))
    mixed_share = COT_MIXED_SHARE if query.mixture == "cot" else MIXED_SHARE
    is_mixed = rng.random() < mixed_share and not query.template.startswith("inverted")
    others = [e for e in (same_form if is_mixed else same_template) if e.uid != query.uid]
    num_exemplars = NUM_MIXED_EXEMPLARS if is_mixed else _draw_num_exemplars(rng)
    candidates = rng.sample(others, min(num_exemplars, len(others)))
    separator = None
    if is_mixed:
        choice = stable_hash(params.seed, "separator", query.task) % len(MIXED_SEPARATORS)
        separator = MIXED_SEPARATORS[choice]
    pattern = choose_pattern(query.task, query.template, query.inputs, params.seed)
    prompt = pattern.format_query(query.inputs).rstrip(" ")
    blocks: list[str] = []
    num_characters = len(prompt)
    for exemplar in candidates:
        pattern = choose_pattern(query.task, exemplar.template, exemplar.inputs, params.seed)
        end = pattern.separator if separator is None else separator
        block = f"{pattern.format_query(exemplar.inputs)}{exemplar.targets}{end}"
        num_characters += len(block)
        if num_characters > params.max_few_shot_characters:
            break
        blocks.append(block)
    if not blocks:
        return query.inputs, []
    return "".join([*blocks, prompt]), candidates[: len(blocks)]


def choose_pattern(task: str, template: str, inputs: str, seed: int) -> FewShotPattern:
    """Return the pattern of a template of a task; `inputs` is any input of that template."""
    patterns = CUED_PATTERNS if _has_cue(inputs) else PATTERNS
    return patterns[stable_hash(seed, "pattern", task, template) % len(patterns)]


def template_form(mixture: str, template: str) -> str:
    """Return a name that templates with the same kind of target share, e.g. `rationale_#`.

    The templates of CoT and Muffin are numbered within a form. A template of promptsource or of an
    export has a form of its own.
    """
    return re.sub(r"_\d+", "_#", template, count=1) if mixture in ("cot", "muffin") else template


def should_prepend(query: Query, params: MixParams) -> bool:
    """Return whether the row is among the share `few_shot_share`."""
    return stable_fraction(params.seed, "few", query.key) < params.few_shot_share


def _draw_num_exemplars(rng: random.Random) -> int:
    """Return how many of the candidates have the template of the input; at least one."""
    while True:
        number = sum(rng.random() < SAME_TEMPLATE_SHARE for _ in range(NUM_CANDIDATES))
        if number:
            return number


def _has_cue(inputs: str) -> bool:
    return inputs.endswith(":")
