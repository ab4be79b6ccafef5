"""Files whose name resembles that of a missing file: other case, other folder, similar name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from pathlib import PurePosixPath

MAX_SUGGESTIONS = 3
MIN_SIMILARITY = 0.75
"""Smallest ratio of `difflib.SequenceMatcher` at which two names are similar."""
COMPRESSED = (".gz", ".zip", ".bz2", ".xz")


def suggest_files(pattern: str, files: Sequence[str]) -> list[str]:
    """Return the files that a missing file may have been stored as, most similar first.

    Args:
        pattern: path or glob pattern that matches no file, relative to the root.
        files: paths of the files that may be meant, relative to the root.

    Returns:
        At most MAX_SUGGESTIONS of `files`.
    """
    ranks = {file: _rank(PurePosixPath(pattern), PurePosixPath(file)) for file in files}
    similar = sorted((rank, file) for file, rank in ranks.items() if rank is not None)
    return [file for _, file in similar[:MAX_SUGGESTIONS]]


def _rank(pattern: PurePosixPath, file: PurePosixPath) -> tuple[int, float] | None:
    """Return the kind and degree of similarity, smaller for more similar; None if there is none.

    Kinds: 0, the same path in another case or compressed; 1, the same name in another folder;
    2, a similar name in the same folder, or the same with another suffix; 3, the same elsewhere;
    4, another file of the same type in the same folder.
    """
    expected, actual = str(pattern).lower(), _decompressed(file)
    if fnmatch.fnmatchcase(actual, expected) and actual.count("/") == expected.count("/"):
        return 0, 0.0
    name, actual_name = pattern.name.lower(), PurePosixPath(actual).name
    same_folder = str(pattern.parent).lower() == str(PurePosixPath(actual).parent)
    is_general = pattern.stem == "*"  # such as *.json: the folder identifies the file
    if fnmatch.fnmatchcase(actual_name, name) and (
        not is_general or pattern.parent.name.lower() == PurePosixPath(actual).parent.name
    ):
        return 1, 0.0
    stem = PurePosixPath(actual_name).stem
    similarity = _similarity(pattern.stem, stem)
    same_type = PurePosixPath(actual_name).suffix == pattern.suffix.lower()
    has_similar_name = similarity >= MIN_SIMILARITY if same_type else pattern.stem.lower() == stem
    if not is_general and has_similar_name:
        return (2 if same_folder else 3), -similarity
    return (4, -similarity) if same_folder and same_type else None


def _decompressed(file: PurePosixPath) -> str:
    """Return the lower-case path without the suffix of a compressed file."""
    path = str(file).lower()
    return path.removesuffix(file.suffix.lower()) if file.suffix.lower() in COMPRESSED else path


def _similarity(pattern_stem: str, stem: str) -> float:
    literal = pattern_stem.replace("*", "").lower()
    return difflib.SequenceMatcher(None, literal, stem).ratio()
