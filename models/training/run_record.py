"""The run record, runs/NAME/seed_N/run.json: what was trained, from what, and at which cost.

It is the same whenever the run is repeated; what differs is in the execution record.
`registry.schemas.RunRecordSchema` reads both.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.training.chain import TrainingChain
from models.training.router_health import LayerHealth

SCHEMA_VERSION = 2
CODE_DIGESTS = "data/code_digests.json"


@dataclass(frozen=True, kw_only=True)
class SequenceLengths:
    """Lengths of the packed rows, in tokens."""

    encoder_length: int
    decoder_length: int


@dataclass(frozen=True, kw_only=True)
class SourceLicence:
    """A licence of data that a run, or a run that it starts from, trained on."""

    source: str
    """Source of the catalog; for imported weights, their name."""
    licence: str
    """As the publisher words it; `unknown` if none is stated."""
    terms: str
    """`open`, `share-alike`, `non-commercial` or `unstated`."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything that comparisons, gates and the lineage need to know about a run."""

    name: str
    preset: str
    start: str
    """Run of the initial weights, or `scratch`."""
    data: str
    tasks: list[str]
    """Task patterns of the run; empty: the full mixture."""
    tuned: bool
    seed: int
    steps: int
    params: dict[str, Any]
    """`run` and `training`, as read from params.yaml with all defaults."""
    model: dict[str, Any]
    """Model configuration; `moe` is null for a dense model."""
    total_parameters: int
    active_parameters: int
    """Parameters that one token uses."""
    flops_per_token: float
    training_flops: float
    """Forward and backward passes of this run alone."""
    recomputation_flops: float
    """Second forward passes of activation checkpointing, which `training_flops` does not count."""
    cumulative_training_flops: float | None
    """`training_flops` of this run and of every run in its chain; None if the chain began with
    imported weights, whose cost is unknown."""
    training_chain: TrainingChain
    """Runs that led to these weights, this run last."""
    target_tokens: int
    losses: dict[str, float]
    """`train_loss` and `validation_loss`, in nats per target token."""
    skipped_batches: list[int]
    router_health: dict[str, LayerHealth]
    data_version: str
    data_hashes: dict[str, str]
    licences: list[SourceLicence]
    """Licences of the data of the run and of the runs that it starts from."""
    sequence: SequenceLengths
    tokenizer_sha256: str
    weights: str
    """Path of the weights, relative to the record."""
    weights_sha256: str
    world_size: int

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the JSON file."""
        return {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}


def data_hashes(workspace: Path) -> dict[str, str]:
    """Return the hash of each data output in dvc.lock, by path; empty without DVC.

    The code digests are no data: they change with the code.
    """
    lock = workspace / "dvc.lock"
    if not lock.is_file():
        return {}
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {
        out["path"]: out["md5"]
        for stage in stages.values()
        for out in stage.get("outs", [])
        if out["path"].startswith("data/") and out["path"] != CODE_DIGESTS and "md5" in out
    }


def data_licences(
    corpus: list[dict[str, Any]], start: str, start_record: Path | None
) -> list[SourceLicence]:
    """Return the licences of a corpus and of the data behind the initial weights, sorted.

    Args:
        corpus: `licences` of the packed corpus's manifest.
        start: run of the initial weights, or `scratch`.
        start_record: run record of that run, None for `scratch`. Without the file or licences in
            it, they are `unknown`.
    """
    entries = [(entry["source"], entry["licence"], entry["terms"]) for entry in corpus]
    if start_record is not None:
        has_record = start_record.is_file()
        recorded = json.loads(start_record.read_text(encoding="utf-8")) if has_record else {}
        inherited = recorded.get("licences")
        if inherited is None:
            entries.append((start, "unknown", "unstated"))
        else:
            entries += [(entry["source"], entry["licence"], entry["terms"]) for entry in inherited]
    return [
        SourceLicence(source=source, licence=licence, terms=terms)
        for source, licence, terms in sorted(set(entries))
    ]
