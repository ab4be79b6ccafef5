"""Stage `tokenizer`: a SentencePiece model trained on the mixture, or a given one.

Ids as in T5: 0 padding, 1 end of sequence, 2 unknown; the sentinels of span corruption are the
last ids, `<extra_id_0>` the highest.
"""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import sentencepiece as spm

from data_pipelines import layout
from data_pipelines.database import database, literal
from data_pipelines.errors import SourceError
from data_pipelines.files import new_folder, scratch_folder, sha256
from data_pipelines.packing.vocabulary import Vocabulary
from data_pipelines.params import EngineParams, TokenizerParams


def run(params: TokenizerParams, engine: EngineParams, workspace: Path) -> None:
    """Writes data/tokenizer/spiece.model and tokenizer.json (pieces, sentinels, hash)."""
    with new_folder(workspace / layout.TOKENIZER) as out:
        target = out / "spiece.model"
        if params.model_file:
            if not Path(params.model_file).is_file():
                raise SourceError(
                    f"data_pipelines.tokenizer.model_file: {params.model_file} is missing"
                )
            shutil.copyfile(params.model_file, target)
        else:
            target.write_bytes(_train(_texts(workspace, params, engine.memory_mb), params))
        vocabulary = Vocabulary.load(target, params.num_sentinels)
        description = {
            "pieces": vocabulary.pieces,
            "sentinels": params.num_sentinels,
            "size": vocabulary.size,
            "sha256": sha256(target),
        }
        text = json.dumps(description, indent=1, sort_keys=True) + "\n"
        (out / "tokenizer.json").write_text(text, encoding="utf-8")


def _texts(workspace: Path, params: TokenizerParams, memory_mb: int) -> list[str]:
    """A sample by hash, in hash order: the same whatever order the rows came in."""
    folder = workspace / layout.MIXTURE
    examples = literal(folder / "examples" / "*.parquet")
    plain = ""
    if any((folder / "text").glob("*.parquet")):
        texts = literal(folder / "text" / "*.parquet")
        plain = f"UNION ALL SELECT text FROM read_parquet({texts})"
    with (
        scratch_folder(workspace / layout.TOKENIZER) as scratch,
        database(scratch, memory_mb) as connection,
    ):
        rows = connection.execute(
            f"""
            SELECT text FROM (
                SELECT unnest([inputs, targets]) AS text FROM read_parquet({examples})
                {plain}
            ) ORDER BY md5(text), text LIMIT {params.max_sentences}
            """
        ).fetchall()
    return [text for (text,) in rows]


def _train(texts: list[str], params: TokenizerParams) -> bytes:
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        vocab_size=params.vocab_size - params.num_sentinels,
        hard_vocab_limit=False,
        character_coverage=1.0 if params.vocab_size < 4000 else 0.9995,
        split_digits=params.vocab_size >= 4000,
        max_sentence_length=20000,
        byte_fallback=params.vocab_size >= 2000,
        # One thread: the result must not depend on the machine.
        num_threads=1,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return model.getvalue()
