"""Stage `tokenizer`: train a SentencePiece model on the mixture, or copy an existing one.

Token ids as in T5: 0 padding, 1 end of sequence, 2 unknown; the span-corruption sentinels have the
highest ids, `<extra_id_0>` the highest of all.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import sentencepiece as spm

from data_pipelines import layout
from data_pipelines.database import open_database, read_parquet
from data_pipelines.errors import SourceError
from data_pipelines.files import new_folder, scratch_folder, sha256, write_json
from data_pipelines.packing.vocabulary import Vocabulary
from data_pipelines.params import EngineParams, TokenizerParams


def run(params: TokenizerParams, engine: EngineParams, workspace: Path) -> None:
    """Write data/tokenizer: spiece.model, and tokenizer.json with the model's sizes and hash.

    Raises:
        SourceError: `model_file` is missing, or is not a SentencePiece model with T5's ids; or
            no model of `vocab_size` can be trained.
    """
    with new_folder(workspace / layout.TOKENIZER) as out:
        target = out / "spiece.model"
        if params.model_file:
            if not Path(params.model_file).is_file():
                raise SourceError(
                    f"data_pipelines.tokenizer.model_file: {params.model_file} is missing; set it "
                    "to a SentencePiece model, or leave it empty to train one"
                )
            shutil.copyfile(params.model_file, target)
        else:
            texts = _sample_texts(workspace, params, engine.memory_mb)
            target.write_bytes(_train(texts, params))
        vocabulary = Vocabulary.load(target, params.num_sentinels)
        description = {
            "num_pieces": vocabulary.num_pieces,
            "num_sentinels": params.num_sentinels,
            "vocab_size": vocabulary.size,
            "sha256": sha256(target),
        }
        write_json(out / "tokenizer.json", description)


def _sample_texts(workspace: Path, params: TokenizerParams, memory_mb: int) -> list[str]:
    """Return up to `max_sentences` inputs, targets and plain texts of the mixture.

    The texts with the smallest hashes are selected, so the sample does not depend on row order.
    """
    folder = workspace / layout.MIXTURE
    examples = read_parquet(folder / "examples" / "*.parquet")
    plain_text = ""
    if any((folder / "text").glob("*.parquet")):
        texts = read_parquet(folder / "text" / "*.parquet")
        plain_text = f"UNION ALL SELECT text FROM {texts}"
    with (
        scratch_folder(workspace / layout.TOKENIZER) as scratch,
        open_database(scratch, memory_mb) as connection,
    ):
        rows = connection.execute(
            f"""
            SELECT text FROM (
                SELECT unnest([inputs, targets]) AS text FROM {examples}
                {plain_text}
            ) ORDER BY md5(text), text LIMIT {params.max_sentences}
            """
        ).fetchall()
    return [text for (text,) in rows]


def _train(texts: list[str], params: TokenizerParams) -> bytes:
    """Return a SentencePiece model trained on the texts.

    Raises:
        SourceError: SentencePiece cannot train it, e.g. because the vocabulary is too small.
    """
    model = io.BytesIO()
    try:
        _run_trainer(texts, params, model)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise SourceError(
            f"data_pipelines.tokenizer.vocab_size: {params.vocab_size} does not fit the texts: "
            f"{reason}; choose another size"
        ) from None
    return model.getvalue()


def _run_trainer(texts: list[str], params: TokenizerParams, model: io.BytesIO) -> None:
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=params.vocab_size - params.num_sentinels,
        hard_vocab_limit=False,
        character_coverage=1.0 if params.vocab_size < 4000 else 0.9995,
        split_digits=params.vocab_size >= 4000,
        max_sentence_length=20000,
        byte_fallback=params.vocab_size >= 2000,
        # With several threads the model would depend on the machine.
        num_threads=1,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
