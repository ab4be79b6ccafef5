"""Stage `tokenizer`: train a SentencePiece model on the mixture, or copy an existing one.

Token ids as in T5: 0 padding, 1 end of sequence, 2 unknown; the span-corruption sentinels have the
highest ids, `<extra_id_0>` the highest of all.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as spm_proto

from data_pipelines import layout
from data_pipelines.database import open_database, read_parquet
from data_pipelines.errors import SourceError
from data_pipelines.files import new_folder, scratch_folder, sha256, write_json
from data_pipelines.packing.vocabulary import Vocabulary
from data_pipelines.params import EngineParams, TokenizerParams

SPACE = "\u2581"
"""SentencePiece's character for a space."""
WORD = re.compile(r"\w+")


def run(params: TokenizerParams, engine: EngineParams, workspace: Path) -> None:
    """Write data/tokenizer: spiece.model, and tokenizer.json with the model's sizes and hash.

    Without training sources there is no text to train on: tokenizer.json says so, with 0 pieces.

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
            if texts:
                target.write_bytes(_train(texts, params))
        has_model = target.is_file()
        num_pieces = Vocabulary.load(target, params.num_sentinels).num_pieces if has_model else 0
        description = {
            "num_pieces": num_pieces,
            "num_sentinels": params.num_sentinels,
            "vocab_size": num_pieces + params.num_sentinels,
            "sha256": sha256(target) if has_model else "",
        }
        write_json(out / "tokenizer.json", description)


def _sample_texts(workspace: Path, params: TokenizerParams, memory_mb: int) -> list[str]:
    """Return up to `max_sentences` inputs, targets and plain texts of the mixture.

    The texts with the smallest hashes are selected, so the sample does not depend on row order.
    """
    selections = []
    for name, column in (("examples", "unnest([inputs, targets])"), ("text", "text")):
        folder = workspace / layout.MIXTURE / name
        if any(folder.glob("*.parquet")):
            files = read_parquet(folder / "*.parquet")
            selections.append(f"SELECT {column} AS text FROM {files}")
    if not selections:
        return []
    with (
        scratch_folder(workspace / layout.TOKENIZER) as scratch,
        open_database(scratch, memory_mb) as connection,
    ):
        rows = connection.execute(
            f"""
            SELECT text FROM ({" UNION ALL ".join(selections)})
            ORDER BY md5(text), text LIMIT {params.max_sentences}
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
    return _without_paths(model.getvalue())


def _without_paths(model: bytes) -> bytes:
    """Remove the path of the temporary seed file from a model: equal texts give equal bytes."""
    proto = spm_proto.ModelProto.FromString(model)
    proto.trainer_spec.seed_sentencepieces_file = ""
    return bytes(proto.SerializeToString(deterministic=True))


def _run_trainer(texts: list[str], params: TokenizerParams, model: io.BytesIO) -> None:
    with tempfile.TemporaryDirectory(prefix="flanmoe-tokenizer-") as folder:
        seeds = _write_word_seeds(texts, Path(folder)) if params.seeds == "words" else ""
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
            seed_sentencepieces_file=seeds,
        )


def _write_word_seeds(texts: list[str], folder: Path) -> str:
    """Write the words and characters of the texts with their counts; return the file's path.

    Words are runs of letters and digits; one after white space begins with SentencePiece's space.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        for part in text.split():
            counts.update(SPACE + part)
            counts.update(
                (SPACE if match.start() == 0 else "") + match[0] for match in WORD.finditer(part)
            )
    path = folder / "seeds.tsv"
    rows = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    path.write_text("".join(f"{piece}\t{count}\n" for piece, count in rows), encoding="utf-8")
    return str(path)
