"""Terms that an engineer of the field searches for, and the file that defines each.

An identifier must be defined in its file: a function, class, field, parameter, constant or module.
A phrase must occur in a docstring of the file.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

IDENTIFIERS = {
    # architecture
    "num_experts": "models/config.py",
    "top_k": "models/config.py",
    "moe_every": "models/config.py",
    "capacity_factor_train": "models/config.py",
    "load_balance_loss_weight": "models/config.py",
    "z_loss_weight": "models/config.py",
    "dense_after_moe": "models/config.py",
    "tie_word_embeddings": "models/config.py",
    "load_balance_loss": "models/architecture/moe/losses.py",
    "router_z_loss": "models/architecture/moe/losses.py",
    "capacity": "models/architecture/moe/capacity.py",
    "tokens_per_expert_E": "models/architecture/moe/routing.py",
    "experts_grouped_mm": "models/architecture/moe/expert_gemm.py",
    "all_to_all": "models/architecture/moe/dispatch/all_to_all.py",
    "set_dispatcher": "models/architecture/moe/dispatch/table.py",
    "RMSNorm": "models/architecture/norm.py",
    "RelativePositionBias": "models/architecture/attention.py",
    "greedy_decode": "models/architecture/generation.py",
    # training
    "train_step": "models/training/trainer.py",
    "gradient_accumulation_steps": "models/training/params.py",
    "global_batch_size": "models/training/params.py",
    "expert_parallel_size": "models/training/params.py",
    "activation_checkpointing": "models/training/params.py",
    "max_grad_norm": "models/training/params.py",
    "label_smoothing": "models/training/params.py",
    "world_size": "models/training/distributed.py",
    "all_reduce_sum": "models/training/distributed.py",
    "heartbeat": "models/training/distributed.py",
    "init_distributed": "models/training/distributed.py",
    "Checkpointer": "models/training/checkpoint.py",
    "compute_loss": "models/training/loss.py",
    "cross_entropy": "models/training/loss.py",
    "out_of_memory_error": "models/training/oom.py",
    "upcycle": "models/interchange/upcycling.py",
    # cost
    "count_parameters": "models/cost/flops.py",
    "flops_per_token": "models/cost/flops.py",
    # data
    "quarantine": "data_pipelines/stages/read.py",
    "noise_density": "data_pipelines/params.py",
    "mean_noise_span_length": "data_pipelines/params.py",
    "corrupt_spans": "data_pipelines/packing/pretraining.py",
    "prefix_lm": "data_pipelines/packing/pretraining.py",
    "encoder_segment_ids": "data_pipelines/packed.py",
    "ContaminationIndex": "data_pipelines/cleaning/contamination.py",
    "num_exemplars": "data_pipelines/example.py",
    # evaluation, registry
    "num_fewshot": "models/evaluation/suite.py",
    "max_new_tokens": "models/evaluation/params.py",
    "exact_match": "models/evaluation/metrics.py",
    "rouge_l": "models/evaluation/metrics.py",
    "standard_error": "models/evaluation/evaluation_record.py",
    "random_score": "models/evaluation/evaluation_record.py",
    "mcnemar": "registry/comparison/paired_tests.py",
    "holm": "registry/comparison/paired_tests.py",
    "estimate_difference": "registry/comparison/paired_estimate.py",
    "champion": "registry/reader.py",
}
PHRASES = {
    "few-shot exemplars": "data_pipelines/mixing/few_shot.py",
    "grouped gemm": "models/architecture/moe/expert_gemm.py",
    "load-balancing loss": "models/architecture/moe/losses.py",
    "sparse upcycling": "models/interchange/upcycling.py",
    "mfu": "models/training/peak_flops.py",
    "span corruption": "data_pipelines/packing/pretraining.py",
    "preempted": "models/training/preemption.py",
    "fsdp2": "models/training/parallel.py",
    "near duplicates": "data_pipelines/cleaning/duplicates.py",
    "best fit": "data_pipelines/packing/packer.py",
    "pareto": "registry/comparison/frontier.py",
}


def identifiers(path):
    """Return the names that a file defines, without a leading underscore.

    The module's own name counts, and so do strings in tuples and lists and keys of dictionaries,
    such as names of columns.
    """
    names = {path.stem}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.Dict | ast.Tuple | ast.List):
            elements = node.keys if isinstance(node, ast.Dict) else node.elts
            names |= {e.value for e in elements if isinstance(e, ast.Constant)}
    return {str(name).lstrip("_") for name in names}


def docstrings(path):
    """Return all docstrings of a file, those under fields included, in lower case on one line."""
    texts = [
        node.value.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return re.sub(r"\s+", " ", " ".join(texts)).lower()


@pytest.mark.parametrize(("term", "file"), IDENTIFIERS.items())
def test_term_is_defined_in_its_file(term, file):
    assert term in identifiers(ROOT / file)


@pytest.mark.parametrize(("phrase", "file"), PHRASES.items())
def test_phrase_is_in_a_docstring_of_its_file(phrase, file):
    assert phrase in docstrings(ROOT / file)


def test_table_has_sixty_terms():
    assert len(IDENTIFIERS) + len(PHRASES) >= 60
