"""`flanmoe predict`: the champion's answer to an instruction."""

from __future__ import annotations

import click

from flows.commands.options import load_workspace, open_registry
from flows.errors import FlowError


@click.command()
@click.argument("instruction")
@click.option("--max-new-tokens", default=64, show_default=True, help="Longest answer, in tokens.")
def predict(instruction: str, max_new_tokens: int) -> None:
    """Answer INSTRUCTION with the champion."""
    click.echo(generate(instruction, max_new_tokens))


def generate(instruction: str, max_new_tokens: int) -> str:
    """Return the champion's answer.

    Raises:
        FlowError: the instruction is empty.
        UnknownVersion: there is no champion.
    """
    if not instruction.strip():
        raise FlowError("INSTRUCTION: expected a text, got an empty one")
    root, params = load_workspace()
    registry = open_registry(root, params)
    champion = registry.champion(params.registry.model)
    from models.evaluation.predictor import Seq2SeqPredictor

    folder = registry.model_folder(champion)
    predictor = Seq2SeqPredictor.load(
        folder / "weights",
        folder / "tokenizer",
        champion.run_record.sequence.encoder_length,
    )
    return predictor.generate([instruction], max_new_tokens)[0].text
