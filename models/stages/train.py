"""Stage `train`: one run of params.yaml, from its start to weights and a run record.

Writes runs/NAME: weights/ (model.safetensors, config.json), metrics.json, run.json, log.jsonl,
live/ (DVCLive). While it lasts, checkpoints and the log lie in .flanmoe/checkpoints/NAME.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data_pipelines.files import sha256, write_json
from data_pipelines.packed import PackedCorpus
from models import layout
from models.allocation import keep_freed_memory
from models.architecture.moe.expert_parallel import whole
from models.cost import flops
from models.determinism import make_deterministic
from models.errors import DataMismatch
from models.training.distributed import Group, join
from models.training.initialization import start_model
from models.training.oom import is_shortage, shortage
from models.training.params import SCRATCH, RunParams, TrainingParams
from models.training.peak_flops import measured_peak
from models.training.preemption import noticing
from models.training.record import data_hashes, git_commit, run_record
from models.training.trainer import Trainer
from models.training.validation import validation_loss
from models.weights import save_weights

# What decides the result; the rest only how it is come by, and how often one looks.
_DECIDES = ("optim", "loss", "global_batch_size", "gradient_accumulation_steps", "dropout", "expert_dropout", "freeze",
            "precision")  # fmt: skip


def run(name: str, run_params: RunParams, params: TrainingParams, workspace: Path) -> None:
    """Trains run `name`. Raises ModelError or DataError before the first step where it can."""
    make_deterministic(params.threads)
    keep_freed_memory()
    with noticing() as stopping, join(params.parallel.timeout_s) as group, group.waiting():
        _train(name, run_params, params, workspace, group, stopping)


def _train(
    name: str,
    run_params: RunParams,
    params: TrainingParams,
    workspace: Path,
    group: Group,
    stopping: Callable[[], bool],
) -> None:
    corpus = PackedCorpus.open(workspace / layout.PACKED / run_params.data)
    if run_params.tasks:
        corpus = corpus.of_tasks(run_params.tasks)
    if len(corpus) < params.global_batch_size:
        raise DataMismatch(
            f"the {run_params.data} corpus has {len(corpus)} packed rows, fewer than "
            f"models.training.global_batch_size, {params.global_batch_size}: make that smaller, or mix more data"
        )
    validation = PackedCorpus.open(workspace / layout.PACKED / "validation")
    model = start_model(run_params, params, corpus, workspace)
    commit = git_commit(Path(__file__).parent)
    folder, out = workspace / layout.CHECKPOINTS / name, workspace / layout.RUNS / name
    trainer = Trainer(
        model=model,
        corpus=corpus,
        params=params,
        steps=run_params.steps,
        seed=run_params.seed,
        folder=folder,
        contents=_contents(run_params, params, corpus, model.config.to_dict(), workspace),
        about={"git_commit": commit, "processes": group.world},
        validation=validation,
        group=group,
        plots=out / "live",
        peak_flops=params.peak_flops or measured_peak(group.device, params.precision),
        stopping=stopping,
    )
    began = time.time()
    try:
        progress = trainer.fit()
        loss = validation_loss(model, validation, params.validate_rows, group=group)
    except (RuntimeError, MemoryError) as error:
        if is_shortage(error):
            raise shortage(model.config, params, group.world) from error
        raise
    weights = whole(model.state_dict())
    health = trainer.health.total(group).summary()
    if not group.is_first:
        return
    assert trainer.live is not None
    metrics = {
        "train_loss": _last_mean([line["loss"] for line in trainer.live.lines]),
        "validation_loss": round(loss, 5),
    }
    save_weights(out / "weights", model, corpus.manifest["tokenizer_sha256"], weights)
    counted = flops.parameters(model.config)
    sequence = (corpus.manifest["encoder_length"], corpus.manifest["decoder_length"])
    training_flops = flops.training(
        model.config,
        encoder_tokens=sequence[0],
        decoder_tokens=sequence[1],
        rows=run_params.steps * params.global_batch_size,
    )
    per_second = training_flops / max(progress.seconds, 1e-9)
    write_json(out / "metrics.json", metrics)
    shutil.copyfile(folder / "log.jsonl", out / "log.jsonl")
    write_json(
        out / "run.json",
        run_record(
            name=name,
            preset=run_params.preset,
            start=run_params.start,
            data=run_params.data,
            tasks=list(run_params.tasks),
            tuned=run_params.tuned,
            seed=run_params.seed,
            steps=run_params.steps,
            params={"run": dataclasses.asdict(run_params), "training": dataclasses.asdict(params)},
            model=model.config.to_dict(),
            total_parameters=counted.total,
            active_parameters=counted.active,
            flops_per_token=flops.per_token(model.config),
            training_flops=training_flops,
            training_seconds=round(progress.seconds, 2),
            flops_per_second=round(per_second),
            mfu=round(per_second / trainer.peak_flops / group.world, 4),
            peak_flops=round(trainer.peak_flops),
            target_tokens=progress.target_tokens,
            losses={name: value for name, value in metrics.items() if value is not None},
            skipped_batches=trainer.guard.skipped,
            router_health=health,
            finished_at=round(began + progress.seconds, 1),
            git_commit=commit,
            data_version=corpus.manifest["version"],
            data_hashes=data_hashes(workspace),
            sequence={"encoder_length": sequence[0], "decoder_length": sequence[1]},
            tokenizer_sha256=corpus.manifest["tokenizer_sha256"],
            weights="weights/model.safetensors",
            weights_sha256=sha256(out / "weights" / "model.safetensors"),
            processes=group.world,
            resumed_from=progress.resumed_from,
        ),
    )
    trainer.checkpoints.discard()


def _contents(
    run_params: RunParams,
    params: TrainingParams,
    corpus: PackedCorpus,
    model: dict[str, Any],
    workspace: Path,
) -> dict[str, Any]:
    """All that the result depends on, as a checkpoint remembers it."""
    run = dataclasses.asdict(run_params)
    start = workspace / layout.RUNS / run_params.start / "weights" / "model.safetensors"
    return {
        "run": {key: run[key] for key in ("preset", "start", "data", "steps", "seed")}
        | {"tasks": list(run_params.tasks)},
        "training": {key: dataclasses.asdict(params)[key] for key in _DECIDES},
        "start weights": "" if run_params.start == SCRATCH else sha256(start),
        "data version": corpus.manifest["version"],
        "model": model,
    }


def _last_mean(values: list[float]) -> float | None:
    last = values[-5:]
    return round(sum(last) / len(last), 5) if last else None
