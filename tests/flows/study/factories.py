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
