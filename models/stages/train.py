"""Stage `train`: train a run of params.yaml with one seed; write its weights and run record.

Writes runs/NAME/seed_N: weights/ (model.safetensors, config.json), metrics.json, run.json,
log.jsonl, live/ (DVCLive); and, because they differ whenever the run is repeated, execution.json
and throughput.jsonl, which DVC does not track. runs/NAME/weights/seed_N.json has the hashes of the
weights. Until the run is complete, checkpoints and log are in .flanmoe/checkpoints/NAME-N.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from data_pipelines.files import sha256, write_json, write_json_lines
from data_pipelines.packed import PackedCorpus
from models import layout
from models.allocation import keep_freed_memory
from models.architecture.moe.expert_parallel import full_state_dict
from models.code_commit import git_commit
from models.config import ModelConfig
from models.cost.flops import count_parameters, flops_per_token
from models.cost.training import TrainingFlops, run_training_flops
from models.determinism import make_deterministic
from models.errors import DataMismatch
from models.replicate import Replicate
from models.training.chain import ChainRun, TrainingChain
from models.training.distributed import DistributedContext, init_distributed
from models.training.dvclive_sink import DvcLiveSink
from models.training.execution_record import execution_record
from models.training.fingerprint import fingerprint
from models.training.imported_run import write_imported_run
from models.training.initialization import initialize_model, start_folder
from models.training.log_lines import split_lines
from models.training.oom import is_out_of_memory, out_of_memory_error
from models.training.optimizer_files import save_optimizer
from models.training.params import SCRATCH, RunParams, TrainingParams
from models.training.peak_flops import measure_peak_flops
from models.training.preemption import catch_sigterm
from models.training.result import TrainResult
from models.training.run_agreement import require_agreement
from models.training.run_record import (
    RunRecord,
    SequenceLengths,
    data_hashes,
    data_licences,
)
from models.training.trainer import Trainer
from models.training.trainer_lease import lease_of_rank_0
from models.weights import hash_weights, is_imported, save_weights
from models.weights_config import WeightsConfig

OPTIMIZER = "optimizer"
"""Folder of the optimizer state beside the final weights."""


@dataclass(frozen=True, kw_only=True)
class TrainTask:
    """One seed of a run to train, and where its files belong."""

    replicate: Replicate
    run: RunParams
    training: TrainingParams
    workspace: Path
    commit: str
    """Commit of the code."""

    @property
    def output(self) -> Path:
        return self.workspace / self.replicate.folder

    @property
    def checkpoints(self) -> Path:
        return self.workspace / self.replicate.checkpoints

    @property
    def lease(self) -> Path:
        return self.checkpoints.with_name(f"{self.checkpoints.name}.lease")

    @property
    def start(self) -> Path | None:
        """Folder of the initial weights; None for random ones."""
        if self.run.start == SCRATCH:
            return None
        return start_folder(self.run, self.replicate.seed, self.workspace)


def run(
    replicate: Replicate, run_params: RunParams, params: TrainingParams, workspace: Path
) -> None:
    """Train a run with one seed; rank 0 writes its files.

    Args:
        replicate: name of the run, and the seed of initial weights, data order and dropout.
        run_params: preset, initial weights, data and number of steps.
        params: training settings of this run.
        workspace: folder with data/ and runs/.

    Raises:
        ModelError: training failed, or its settings do not fit the model or the data.
        DataError: a corpus is missing or damaged.
    """
    make_deterministic(params.threads)
    keep_freed_memory()
    commit = git_commit(Path(__file__).parents[2])
    task = TrainTask(
        replicate=replicate, run=run_params, training=params, workspace=workspace, commit=commit
    )
    if run_params.steps == 0 and task.start is not None and is_imported(task.start):
        write_imported_run(replicate, run_params, params, workspace, commit)
        return
    with (
        catch_sigterm() as is_stop_requested,
        init_distributed(params.parallel.timeout_s) as dist,
        dist.translate_collective_errors(),
        lease_of_rank_0(task.lease, dist) as require_lease,
    ):
        trainer = _prepare(task, dist, is_stop_requested, require_lease)
        result, weights = _fit(trainer)
        require_lease()
        if params.checkpoint.save_optimizer:
            folder = task.output / "weights" / OPTIMIZER
            save_optimizer(folder, trainer.model, trainer.parallel_model.optimizers, dist)
        if dist.is_main:
            _write(task, trainer, result, weights)
        trainer.checkpointer.close(delete=True)


def _prepare(
    task: TrainTask,
    dist: DistributedContext,
    is_stop_requested: Callable[[], bool],
    require_lease: Callable[[], None],
) -> Trainer:
    """Open the corpora, initialize the model and build the trainer."""
    params = task.training
    corpus = PackedCorpus.open(task.workspace / layout.PACKED / task.run.data)
    if task.run.tasks:
        corpus = corpus.filter_tasks(task.run.tasks)
    if len(corpus) < params.global_batch_size:
        raise DataMismatch(
            f"the {task.run.data} corpus has {len(corpus)} packed rows, fewer than "
            f"models.training.global_batch_size, {params.global_batch_size}; lower it, or mix "
            "more examples"
        )
    validation = PackedCorpus.open(task.workspace / layout.PACKED / "validation")
    require_agreement(
        dist,
        name=task.replicate.label,
        run=task.run,
        training=task.training,
        data_version=corpus.manifest["version"],
        start=task.start,
        folder=task.checkpoints.parent,
    )
    seed = task.replicate.seed
    model = initialize_model(task.run, params, corpus, task.workspace, seed=seed)
    peak_flops = params.peak_flops or measure_peak_flops(dist.device, params.precision)
    with _translate_out_of_memory(model.config, params, dist.world_size):
        return Trainer(
            model=model,
            corpus=corpus,
            validation=validation,
            params=params,
            steps=task.run.steps,
            seed=seed,
            folder=task.checkpoints,
            fingerprint=fingerprint(
                seed, task.run, params, task.start, corpus.manifest["version"], model.config
            ),
            metadata={"git_commit": task.commit, "world_size": dist.world_size},
            dist=dist,
            metrics_sink=DvcLiveSink(task.output / "live") if dist.is_main else None,
            peak_flops=peak_flops,
            is_stop_requested=is_stop_requested,
            require_lease=require_lease,
            initial_optimizer=(
                task.start / OPTIMIZER if task.start and task.run.start_optimizer else None
            ),
        )


def _fit(trainer: Trainer) -> tuple[TrainResult, dict[str, Tensor]]:
    """Train and gather the full final weights; a collective call of all ranks."""
    config, params = trainer.model.config, trainer.params
    with _translate_out_of_memory(config, params, trainer.dist.world_size):
        result = trainer.fit()
    return result, full_state_dict(trainer.model.state_dict())


def _write(
    task: TrainTask, trainer: Trainer, result: TrainResult, weights: dict[str, Tensor]
) -> None:
    """Write weights, metrics, log and records."""
    tokenizer_sha256 = trainer.corpus.manifest["tokenizer_sha256"]
    cost = _training_flops(task, trainer)
    chain = _training_chain(task, trainer, cost)
    save_weights(
        task.output / "weights",
        trainer.model,
        tokenizer_sha256,
        weights,
        chain,
        max_input_tokens=trainer.corpus.manifest["encoder_length"],
    )
    write_json(task.output / "metrics.json", _losses(result))
    write_json(
        task.workspace / task.replicate.weights_hashes, hash_weights(task.output / "weights")
    )
    log, throughput = split_lines(result.log_lines)
    write_json_lines(task.output / "log.jsonl", log)
    write_json_lines(task.output / "throughput.jsonl", throughput)
    record = _run_record(task, trainer, result, cost, chain)
    execution = execution_record(
        result.progress,
        weights_sha256=record.weights_sha256,
        training_flops=cost.total,
        peak_flops=result.peak_flops,
        commit=task.commit,
        device=trainer.dist.device,
        world_size=trainer.dist.world_size,
    )
    write_json(task.output / "execution.json", execution.to_dict())
    write_json(task.output / "run.json", record.to_dict())


def _training_flops(task: TrainTask, trainer: Trainer) -> TrainingFlops:
    manifest = trainer.corpus.manifest
    return run_training_flops(
        trainer.model.config,
        task.run,
        task.training,
        encoder_length=manifest["encoder_length"],
        decoder_length=manifest["decoder_length"],
    )


def _training_chain(task: TrainTask, trainer: Trainer, cost: TrainingFlops) -> TrainingChain:
    """Return the chain of the initial weights with this run; without steps it adds none."""
    run = task.run
    chain = TrainingChain(origin=SCRATCH, runs=[])
    if task.start is not None:
        chain = WeightsConfig.read(task.start).chain
    if run.steps == 0:
        return chain
    return chain.append(
        ChainRun(
            name=task.replicate.run,
            preset=run.preset,
            data=run.data,
            data_version=trainer.corpus.manifest["version"],
            tasks=list(run.tasks),
            steps=run.steps,
            seed=task.replicate.seed,
            global_batch_size=task.training.global_batch_size,
            training_flops=cost.total,
        )
    )


def _run_record(
    task: TrainTask,
    trainer: Trainer,
    result: TrainResult,
    cost: TrainingFlops,
    chain: TrainingChain,
) -> RunRecord:
    config, manifest, progress = trainer.model.config, trainer.corpus.manifest, result.progress
    parameters = count_parameters(config)
    lengths = SequenceLengths(
        encoder_length=manifest["encoder_length"], decoder_length=manifest["decoder_length"]
    )
    return RunRecord(
        name=task.replicate.run,
        preset=task.run.preset,
        start=task.run.start,
        data=task.run.data,
        tasks=list(task.run.tasks),
        tuned=task.run.tuned,
        seed=task.replicate.seed,
        steps=task.run.steps,
        params={
            "run": dataclasses.asdict(task.run),
            "training": dataclasses.asdict(task.training),
        },
        model=config.to_dict(),
        total_parameters=parameters.total,
        active_parameters=parameters.active,
        flops_per_token=flops_per_token(config),
        training_flops=cost.total,
        recomputation_flops=cost.recomputation,
        cumulative_training_flops=chain.training_flops,
        training_chain=chain,
        target_tokens=progress.target_tokens,
        losses={name: loss for name, loss in _losses(result).items() if loss is not None},
        skipped_batches=result.skipped_batches,
        router_health=result.router_health,
        data_version=manifest["version"],
        data_hashes=data_hashes(task.workspace),
        licences=data_licences(
            manifest["licences"],
            task.run.start,
            None if task.start is None else task.start.parent / "run.json",
        ),
        sequence=lengths,
        tokenizer_sha256=manifest["tokenizer_sha256"],
        weights="weights/model.safetensors",
        weights_sha256=sha256(task.output / "weights" / "model.safetensors"),
        world_size=trainer.dist.world_size,
    )


def _losses(result: TrainResult) -> dict[str, float | None]:
    validation_loss = result.validation_loss
    return {
        "train_loss": result.train_loss,
        "validation_loss": None if validation_loss is None else round(validation_loss, 5),
    }


@contextmanager
def _translate_out_of_memory(
    config: ModelConfig, params: TrainingParams, world_size: int
) -> Iterator[None]:
    """Raise OutOfMemory, with an estimate and remedies, in place of the allocator's error."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise out_of_memory_error(config, params, world_size) from error
        raise
