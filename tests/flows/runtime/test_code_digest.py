"""Code digests of stages: which edits change which stage, on a small tree and on the project."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.runtime.code_digest import CodeBase, package_root
from flows.stages import digest
from flows.stages.digest import PACKAGES_WITH_STAGES, digest_by_stage

SMALL_TREE = {
    "data_pipelines/stages/alpha.py": """
        \"""Stage alpha.\"""
        import json
        from data_pipelines.shared import limit

        def run():
            from data_pipelines import lazy
            return lazy.SIZE + limit()
    """,
    "data_pipelines/stages/beta.py": "from data_pipelines.shared import limit\n",
    "data_pipelines/shared.py": """
        from pathlib import Path

        TABLE = Path(__file__).with_name("table.yaml")
        PAGES = Path(__file__).with_name("pages")

        def limit():
            \"""Return the limit.\"""
            return 3  # rows
    """,
    "data_pipelines/lazy.py": "SIZE = 1\n",
    "data_pipelines/unused.py": "SIZE = 1\n",
    "data_pipelines/table.yaml": "a: 1\n",
    "data_pipelines/pages/first.html": "<p>\n",
    "data_pipelines/other.yaml": "a: 1\n",
    "data_pipelines/__init__.py": "",
    "models/stages/gamma.py": "import models.deep\n",
    "models/deep.py": "from data_pipelines.lazy import SIZE\n",
}


@pytest.fixture
def tree(tmp_path):
    """A small tree with the stages alpha, beta and gamma."""
    for name, text in SMALL_TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.splitlines()
        path.write_text("\n".join(line.removeprefix("        ") for line in lines) + "\n")
    return tmp_path


def changed_stages(root, before):
    """Return the stages whose digest differs from `before`."""
    after = digest_by_stage(root)
    assert after.keys() == before.keys()
    return {stage for stage in after if after[stage] != before[stage]}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("data_pipelines/shared.py", "return 3", "return 4", {"alpha", "beta"}),
        ("data_pipelines/stages/alpha.py", "lazy.SIZE +", "lazy.SIZE -", {"alpha"}),
        ("data_pipelines/lazy.py", "SIZE = 1", "SIZE = 2", {"alpha", "gamma"}),
        ("models/deep.py", "import SIZE", "import SIZE as S", {"gamma"}),
        ("data_pipelines/__init__.py", "", "X = 1", {"alpha", "beta", "gamma"}),
        ("data_pipelines/table.yaml", "a: 1", "a: 2", {"alpha", "beta"}),
        ("data_pipelines/pages/first.html", "<p>", "<b>", {"alpha", "beta"}),
        ("data_pipelines/unused.py", "SIZE = 1", "SIZE = 2", set()),
        ("data_pipelines/other.yaml", "a: 1", "a: 2", set()),
        ("data_pipelines/shared.py", "# rows", "# lines, not rows", set()),
        ("data_pipelines/shared.py", "Return the limit.", "Return the upper limit.", set()),
        ("data_pipelines/stages/alpha.py", "Stage alpha.", "The first stage.", set()),
        ("data_pipelines/shared.py", "return 3", "return (3)", set()),
        ("data_pipelines/shared.py", "def limit():", "def limit():\n\n", set()),
    ],
)
def test_digest_edit_changes_exactly_the_stages_that_execute_it(tree, file, old, new, expected):
    before = digest_by_stage(tree)
    path = tree / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert changed_stages(tree, before) == expected


def test_digest_does_not_depend_on_the_folder(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "site-packages"
    shutil.copytree(tree, other)
    assert digest_by_stage(other) == digest_by_stage(tree)


def test_run_unchanged_digests_leave_the_file_untouched(tree, tmp_path):
    workspace = tmp_path / "workspace"
    digests = digest.run(workspace, tree)
    target = workspace / digest.OUTPUT
    written = target.stat().st_mtime_ns
    assert digest.run(workspace, tree) == digests
    assert target.stat().st_mtime_ns == written
    (tree / "data_pipelines" / "lazy.py").write_text("SIZE = 5\n")
    assert digest.run(workspace, tree) != digests
    assert target.stat().st_mtime_ns != written


def stage_entries(root):
    """Return stage -> name of its module."""
    return {
        path.stem: f"{package}.stages.{path.stem}"
        for package in PACKAGES_WITH_STAGES
        for path in (root / package / "stages").glob("[a-z]*.py")
    }


@dataclass(frozen=True)
class ProjectCopy:
    """A copy of the project's packages, with the closure and the digest of each stage."""

    root: Path
    closures: dict
    digests: dict


@pytest.fixture(scope="module")
def project_copy(tmp_path_factory):
    """A copy of the project's packages."""
    root = tmp_path_factory.mktemp("packages")
    for package in ("data_pipelines", "models", "registry", "dashboard", "flows"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package_root() / package, root / package, ignore=ignore)
    code = CodeBase(root)
    entries = stage_entries(root)
    return ProjectCopy(
        root=root,
        closures={stage: code.closure(entry) for stage, entry in entries.items()},
        digests={stage: code.digest(entry) for stage, entry in entries.items()},
    )


def module_file(root, name):
    """Return the file of a module."""
    path = root.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize(
    "module",
    [
        "data_pipelines.files",
        "data_pipelines.expectations.runner",
        "models.config",
        "models.cost.flops",
        "models.stages.train",
        "models.weights",
    ],
)
def test_digest_constant_in_a_module_of_the_project_changes_its_importers(project_copy, module):
    importers = {s for s, closure in project_copy.closures.items() if module in closure}
    path = module_file(project_copy.root, module)
    text = path.read_text()
    path.write_text(f"{text}\nCHANGED = 1\n")
    assert importers
    assert changed_stages(project_copy.root, project_copy.digests) == importers
    path.write_text(text)


def test_digest_comments_in_every_module_of_the_project_change_nothing(project_copy):
    for path in project_copy.root.rglob("*.py"):
        path.write_text(f"# First line.\n{path.read_text()}\n# Last line.\n")
    assert not changed_stages(project_copy.root, project_copy.digests)


def test_closures_contain_the_modules_that_stages_execute():
    code = CodeBase(package_root())
    expected = {
        "models.stages.train": {"models.weights", "models.training.params", "models.cost.flops"},
        "models.stages.evaluate": {"models.config", "models.weights"},
        "data_pipelines.stages.pack": {"data_pipelines.expectations.runner"},
    }
    for entry, modules in expected.items():
        assert modules <= set(code.closure(entry)), entry


def test_data_files_of_the_packages_are_each_named_by_a_stage():
    root = package_root()
    code = CodeBase(root)
    named = {file for entry in stage_entries(root).values() for file in code.data_files(entry)}
    files = {
        path
        for package in PACKAGES_WITH_STAGES
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    unnamed = {path.relative_to(root) for path in files - named}
    assert unnamed == {Path(package) / "py.typed" for package in PACKAGES_WITH_STAGES}
