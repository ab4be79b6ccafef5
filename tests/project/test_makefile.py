"""The Makefile: a copied or moved project installs an environment of its own."""

import shutil
import subprocess

import pytest

from tests.factories import ROOT

pytestmark = pytest.mark.process


@pytest.mark.parametrize("folder_name", ["project", "a b"])
def test_make_install_replaces_the_environment_of_another_folder(tmp_path, folder_name):
    project = tmp_path / folder_name
    programs = project / ".venv" / "bin"
    programs.mkdir(parents=True)
    shutil.copyfile(ROOT / "Makefile", project / "Makefile")
    (project / "pyproject.toml").touch()
    (programs / "python").touch()
    (project / ".venv" / ".installed").touch()
    (project / ".venv" / ".folder").write_text(f"{project.resolve()}\n")

    def commands(folder):
        make = ["make", "-n", "-C", str(folder), "install"]
        return subprocess.run(make, capture_output=True, text=True, check=True).stdout

    assert "-m venv" not in commands(project)
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    assert "-m venv" in commands(copy)
    assert programs.is_dir()
