"""`flanmoe predict`: answers of a registered version to one instruction, or to many from stdin."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from flows.commands.options import json_option, load_workspace, model_option, open_registry
from flows.commands.predict_input import (
    InstructionInput,
    is_json,
    parse_instruction,
    parse_lines,
)

if TYPE_CHECKING:
    from models.evaluation.predictor import Seq2SeqPredictor
    from registry.versions import VersionInfo

BATCH_SIZE = 32
"""Instructions that are answered at a time; the answers do not depend on it."""


@click.command(short_help="Answer instructions with a registered version.")
@click.argument("instruction", required=False)
@click.option("--version", type=int, help="Version that answers. Default: the champion.")
@model_option
@click.option(
    "--max-new-tokens",
    default=64,
    show_default=True,
    type=click.IntRange(min=1),
    help="Longest answer, in tokens.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Answer one instruction at a time, and add seconds and experts to the JSON output.",
)
@json_option
def predict(
    instruction: str | None,
    version: int | None,
    model: str | None,
    max_new_tokens: int,
    measure: bool,
    as_json: bool,
) -> None:
    """Answer INSTRUCTION, or one instruction a line from stdin, in order.

    Lines of stdin are texts, or JSON objects with a field `instruction`, whose other fields are
    copied to the output. With --json, or for JSON input, the output is a JSON object a line:
    instruction, answer, num_tokens, finished (whether the answer ended before --max-new-tokens),
    truncated (whether the start of the instruction was cut off), model and version. With --measure
    also seconds (of the answer, without loading the weights) and experts (the tokens that each
    expert received, by MoE layer). Otherwise it is the answer; line breaks in an answer to stdin
    become spaces.
    """
    if instruction is not None:
        inputs = [parse_instruction(instruction)]
    else:
        data = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        inputs, as_json = parse_lines(data), as_json or is_json(data)
    root, params = load_workspace()
    registry = open_registry(root, params)
    if model is not None:
        registry.require_model(model)
    name = model or params.registry.model
    info = registry.champion(name) if version is None else registry.show(name, version)
    folder = registry.model_folder(info)
    from models.evaluation.predictor import Seq2SeqPredictor

    predictor = Seq2SeqPredictor.load(
        folder / "weights", folder / "tokenizer", info.run_record.sequence.encoder_length
    )
    for answer in answer_all(predictor, info, inputs, max_new_tokens, is_measured=measure):
        if as_json:
            click.echo(json.dumps(answer, ensure_ascii=False))
        else:
            text = answer["answer"]
            click.echo(text if instruction is not None else " ".join(text.splitlines()))


def answer_all(
    predictor: Seq2SeqPredictor,
    version: VersionInfo,
    inputs: Sequence[InstructionInput],
    max_new_tokens: int,
    *,
    is_measured: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield an output object for each instruction, in order.

    Args:
        predictor: the version's weights and tokenizer.
        version: the version.
        inputs: the instructions.
        max_new_tokens: longest answer, in tokens.
        is_measured: whether to answer one instruction at a time, with its seconds and experts.
    """
    from flows.runtime.expert_usage import count_expert_tokens

    batch_size = 1 if is_measured else BATCH_SIZE
    if is_measured:
        predictor.generate([inputs[0].instruction], 1)  # the first pass starts threads
    for start in range(0, len(inputs), batch_size):
        batch = inputs[start : start + batch_size]
        texts = [entry.instruction for entry in batch]
        started_at = time.perf_counter()
        with count_expert_tokens(predictor.model) as tokens_by_layer:
            generations = predictor.generate(texts, max_new_tokens)
        seconds = time.perf_counter() - started_at
        measured = {"seconds": seconds, "experts": tokens_by_layer} if is_measured else {}
        for entry, generation in zip(batch, generations, strict=True):
            yield {
                **entry.fields,
                "instruction": entry.instruction,
                "answer": generation.text,
                "num_tokens": generation.num_tokens,
                "finished": generation.finished,
                "truncated": predictor.num_tokens(entry.instruction) > predictor.max_input_tokens,
                "model": version.model,
                "version": version.version,
                **measured,
            }
