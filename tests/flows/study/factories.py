"""A project with a small study, and results of its runs with scores that a test chooses."""

import shutil

import yaml

from models.replicate import Replicate
from tests.factories import ROOT, Project
from tests.registry.factories import write_result

NUM_ITEMS = 40


def study(**changes):
    """Return a study of an MoE and its dense partner: pre-trained, then instruction-tuned."""
    return {
        "question": "Do experts help?",
        "overrides": {"models": {"evaluation": {"suites": ["sample_knowledge", "sample_rules"]}}},
        "seeds": [0, 1, 2],
        "models": {"moe": {"preset": "tiny_switch"}, "dense": {"matches": "moe"}},
        "arms": {
            "base": {"start": "scratch", "data": "prefix_lm", "steps": 20, "tuned": False},
            "tuned": {"start": "base", "steps": 30},
        },
        "claims": {
            "gain": {
                "statement": "The MoE gains more.",
                "primary": True,
                "above": 0,
                "parts": {
                    "knowledge": {
                        "tasks": ["sample_knowledge/*"],
                        "plus": ["moe/tuned", "dense/base"],
                        "minus": ["moe/base", "dense/tuned"],
                    }
                },
            }
        },
        **changes,
    }


def write_study(folder, values, name="small"):
    """Write a study to the `studies` of a project."""
    (folder / "studies").mkdir(exist_ok=True)
    text = values if isinstance(values, str) else yaml.safe_dump(values, sort_keys=False)
    (folder / "studies" / f"{name}.yaml").write_text(text)


def study_project(folder):
    """Return a project in which studies can be planned; nothing can run in it."""
    folder.mkdir(exist_ok=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    return Project(folder)


def write_study_run(workspace, run, seed, scores_by_task, *, is_moe=False):
    """Write the files of a finished run: its scores by task, and the costs of its sizes."""
    chain = {"model": {"moe": {"num_experts": 16} if is_moe else None}}
    folder = workspace / Replicate(run, seed).folder
    write_result(folder, scores_by_task, name=run, run={"seed": seed, **chain})


CONTRAST = {
    "difference": 0.125, "low": 0.021, "high": 0.229, "p_value": 0.03, "num_seeds": 3,
    "num_items": 400, "basis": "3 seeds and 400 items", "decidable_difference": 0.2,
    "by_seed": {"0": 0.1, "1": 0.15, "2": 0.125},
}  # fmt: skip


def report_results(**changes):
    """Return the results of a study with two models, one missing run, and two claims."""
    sizes = {
        "is_moe": True, "total_parameters": 218624, "active_parameters": 95744,
        "flops_per_token": 46472.6, "matches": None, "flops_ratio": None, "dense_partner": None,
    }  # fmt: skip
    score = {
        "model": "moe", "arm": "tuned", "group": "sample_rules", "score": 0.71, "low": 0.6,
        "high": 0.8, "chance": 0.25, "excludes_chance": True, "num_seeds": 3, "basis": "3 seeds",
        "bits_stored": None,
    }  # fmt: skip
    claim = {
        "name": "gain", "statement": "The MoE gains <more>.", "source": "A paper", "primary": True,
        "above": 0, "within": None, "confidence": 0.95, "verdict": "confirmed", "mean": CONTRAST,
        "parts": {"rules": {"plus": ["moe/tuned"], "minus": ["dense/tuned"],
                            "tasks": ["sample_rules/*"], "verdict": "confirmed", **CONTRAST}},
        "missing": ["dense/tuned, seed 2"], "notes": ["rules: random answers are not excluded"],
    }  # fmt: skip
    unjudged = {**claim, "name": "other", "statement": "Other.", "primary": False, "mean": None,
                "parts": {}, "verdict": "not judged", "above": None, "within": 0.03}  # fmt: skip
    run = {"model": "moe", "arm": "tuned", "seed": 0, "training_flops": 1e12,
           "training_seconds": 150.0}  # fmt: skip
    return {
        "schema_version": 1, "study": "small", "question": "Do experts help?",
        "background": "Because.", "command": "flanmoe study run small", "note": "",
        "machine": {"processors": ["EPYC"], "devices": ["cpu"], "python": "3.11.9"},
        "commits": ["0123456789abcdef"], "seeds": [0, 1, 2],
        "models": {
            "moe": {"preset": "tiny_switch", "changes": {}, **sizes, "dense_partner": "dense"},
            "dense": {"preset": "tiny_dense", "changes": {"d_ff": 72}, **sizes, "is_moe": False,
                      "matches": "moe", "flops_ratio": 0.978},
        },
        "arms": {"tuned": {"start": "scratch", "data": "train", "tasks": ["text"], "steps": 1500,
                           "training": {"optim": {"lr": 0.002}}, "models": ["moe", "dense"]}},
        "variants": [{
            "variant": "", "facts": None,
            "runs": [run, {"model": "dense", "arm": "tuned", "seed": 2,
                                          "missing": "not trained yet"}],
            "missing": [{"run": "dense_tuned-2", "reason": "not trained yet"}],
            "groups": {"sample_rules": ["sample_rules/a"]}, "scores": [score],
            "claims": [claim, unjudged],
        }],
        "published": ["flan_moe_over_dense"], **changes,
    }  # fmt: skip
