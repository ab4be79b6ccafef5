"""Sizes of the packed data: those of the data that exists, or those to expect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from flows.config.schema import Params
from models import layout

if TYPE_CHECKING:
    from models.cost.plan import DataSizes


def packed_sizes(root: Path) -> DataSizes | None:
    """Return the sizes of a workspace's packed data; None if no data is packed."""
    from models.cost.plan import DataSizes

    manifest_path = root / layout.PACKED / "train" / "manifest.json"
    if not manifest_path.is_file():
        return None
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    names = ("vocab_size", "encoder_length", "decoder_length")
    return DataSizes(**{name: int(manifest[name]) for name in names})


def expected_sizes(root: Path, params: Params) -> DataSizes:
    """Return the sizes that the parameters ask for; a trained tokenizer may have fewer pieces."""
    from models.cost.plan import DataSizes

    tokenizer, pack = params.data_pipelines.tokenizer, params.data_pipelines.pack
    vocab_size = tokenizer.vocab_size
    if tokenizer.model_file:
        from data_pipelines.packing.vocabulary import Vocabulary

        vocab_size = Vocabulary.load(root / tokenizer.model_file, tokenizer.num_sentinels).size
    return DataSizes(
        vocab_size=vocab_size,
        encoder_length=pack.encoder_length,
        decoder_length=pack.decoder_length,
    )
