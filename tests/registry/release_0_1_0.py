"""The registry that release 0.1.0 wrote."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path

RELEASE_0_1_0 = Path(__file__).parent / "data" / "release_0_1_0"


@dataclass(frozen=True)
class OldRegistry:
    """A copy of the registry that release 0.1.0 wrote."""

    project: Path
    """Its registry is .flanmoe/registry.db; it has no params.yaml."""

    @property
    def artifacts(self):
        """Artifact folders of versions 1 (dense) and 2 (MoE)."""
        folders = sorted((self.project / ".flanmoe" / "artifacts").iterdir())
        return sorted(folders, key=lambda f: json.loads((f / "run.json").read_text())["name"])


def copy_release_0_1_0(project):
    """Copy the registry of release 0.1.0 into a project folder, with the paths of this copy."""
    state = project / ".flanmoe"
    state.mkdir(parents=True)
    shutil.copyfile(RELEASE_0_1_0 / "registry.db", state / "registry.db")
    shutil.copytree(RELEASE_0_1_0 / "artifacts", state / "artifacts")
    with sqlite3.connect(state / "registry.db") as connection:
        connection.execute(
            "UPDATE versions SET artifact = replace(artifact, '/project', ?)", (str(project),)
        )
    connection.close()
    return OldRegistry(project)
