"""The files of a version: which are stored, and whether they are those of its records."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

from registry.artifacts.blobs import RESTORE
from registry.artifacts.store import ArtifactStore
from registry.errors import DamagedArtifact, MissingArtifact
from registry.intake import Submission
from registry.versions import VersionInfo

EXECUTION = "execution.json"
"""How the run was executed; a clone, and release 0.1.0, may not have it."""
RECORDS = ("run.json", EXECUTION, "evaluation.json", "samples.parquet")
"""The evidence of a version, which is kept when its model files are removed."""
EVALUATION_RECORDS = ("evaluation.json", "samples.parquet")
"""The files of a further evaluation."""
MODEL_FOLDERS = ("weights", "tokenizer")
_TOKENIZER_FILES = ("spiece.model", "tokenizer.json")
_OPTIMIZER = "optimizer"
"""State of the optimizer, in the weights' folder; it is for further training only."""
WEIGHTS, PIECES, SAMPLES = (
    "weights/model.safetensors",
    "tokenizer/spiece.model",
    "samples.parquet",
)


def submission_files(submission: Submission) -> dict[str, Path]:
    """Return the files of a run to store: path in the artifact -> file."""
    weights = submission.folder / "weights"
    files = {
        f"weights/{path.relative_to(weights).as_posix()}": path
        for path in sorted(weights.rglob("*"))
        if path.is_file() and _OPTIMIZER not in path.relative_to(weights).parts
    }
    for name in _TOKENIZER_FILES:
        if (submission.tokenizer / name).is_file():
            files[f"tokenizer/{name}"] = submission.tokenizer / name
    records = {name: submission.folder / name for name in RECORDS}
    if not records[EXECUTION].is_file():
        del records[EXECUTION]
    return files | records


def artifact_faults(
    store: ArtifactStore,
    version: VersionInfo,
    *,
    removed: Collection[str] = (),
    intact: set[str] | None = None,
) -> list[str]:
    """Verify every file of a version: it has its checksum, which is the one in the records.

    Args:
        store: the artifact store.
        version: the version.
        removed: files and folders that retention removed; a missing file of them is no fault.
        intact: digests of blobs that need not be read; those that are intact are added.

    Returns:
        One line for each fault; empty if there is none.

    Raises:
        StoreUnavailable: the store cannot be read.
    """
    faults = [
        fault
        for reference in dict.fromkeys((version.artifact, version.evaluation_artifact))
        for fault in store.verify(reference, removed=removed, intact=intact)
    ]
    return faults or list(_record_faults(store, version))


def model_folder(store: ArtifactStore, version: VersionInfo) -> Path:
    """Return a folder with the weights and the tokenizer of a version, verified.

    Raises:
        MissingArtifact: a file is missing.
        DamagedArtifact: a file does not match its checksum, or is not the one of the run record.
    """
    for path, expected in ((WEIGHTS, version.run_record.weights_sha256),
                           (PIECES, version.run_record.tokenizer_sha256)):  # fmt: skip
        if store.file_digest(version.artifact, path) != expected:
            raise DamagedArtifact(_other_file(version, path))
    return store.local_folder(version.artifact, MODEL_FOLDERS)


def has_model_files(store: ArtifactStore, version: VersionInfo) -> bool:
    """Return whether the store has the weights and the tokenizer of a version, intact or not."""
    return all(
        store.has_blob(file.sha256)
        for file in store.manifest(version.artifact).files
        if file.path.split("/")[0] in MODEL_FOLDERS
    )


def evidence_folder(store: ArtifactStore, version: VersionInfo) -> Path:
    """Return a folder with the run's records, and record and samples of the newest evaluation.

    Raises:
        MissingArtifact: a file is missing.
        DamagedArtifact: a file does not match its checksum.
    """
    names = [name for name in ("run.json", EXECUTION) if store.has_file(version.artifact, name)]
    files = {name: store.file(version.artifact, name) for name in names}
    for name in EVALUATION_RECORDS:
        files[name] = store.file(version.evaluation_artifact, name)
    key = f"{version.artifact} {version.evaluation_artifact} evidence"
    return store.cache.link_folder(hashlib.sha256(key.encode()).hexdigest(), files)


def samples_file(store: ArtifactStore, version: VersionInfo) -> Path | None:
    """Return the samples of a version's newest evaluation; None if they were not stored."""
    try:
        return store.file(version.evaluation_artifact, SAMPLES)
    except MissingArtifact:
        return None


def _record_faults(store: ArtifactStore, version: VersionInfo) -> Iterator[str]:
    """Compare the checksums in the manifests with those in the records of the database."""
    for reference, path, expected in (
        (version.artifact, WEIGHTS, version.run_record.weights_sha256),
        (version.artifact, PIECES, version.run_record.tokenizer_sha256),
        (version.evaluation_artifact, SAMPLES, version.evaluation.samples_sha256),
    ):
        if store.file_digest(reference, path) != expected:
            yield _other_file(version, path)


def _other_file(version: VersionInfo, path: str) -> str:
    return (
        f"version {version.version} of {version.model!r}: {path} is missing from its artifact or "
        f"does not match the checksum in the registry; {RESTORE}"
    )
