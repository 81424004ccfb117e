"""The layers and rooms of the house, checked."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lmexp"
COMPOSITION = (
    "core/graph/compose.py",
    "core/graph/composing_errors.py",
    "core/graph/kinds.py",
    "core/graph/multirun.py",
)
"""The files that compose configurations."""


def test_no_layer_imports_one_above_it():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def imports(path: Path) -> set[str]:
    """Return the top-level names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("hydra", {"run.py", *COMPOSITION}),
        ("omegaconf", {"run.py", *COMPOSITION}),
        ("wandb", {"core/tracking/uploader.py"}),
        ("wandb_workspaces", {"core/tracking/dashboard.py"}),
        ("pytorch_lightning", {"training/"}),
    ],
)
def test_a_library_is_imported_in_its_own_room_alone(library, rooms):
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if library in imports(path):
            assert name in rooms or any(r.endswith("/") and name.startswith(r) for r in rooms), name


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.py")), ids=lambda path: path.name)
def test_a_pipeline_imports_stages_configurations_and_what_a_graph_is_made_of_alone(path):
    modules = {
        f"{node.module}.{alias.name}" if node.module == "lmexp" else node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    graph = (
        "lmexp.core.graph.stage",
        "lmexp.core.values",
        "lmexp.errors",
        "lmexp.stages",
        "lmexp.models.families",
    )
    for module in modules:
        assert module.startswith(graph) or module.endswith(".config"), module
    assert "torch" not in imports(path)


@pytest.mark.parametrize("folder", ["src", "pipelines", "benchmarks"])
def test_no_file_is_longer_than_four_hundred_lines(folder):
    for path in (ROOT / folder).rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path


def test_no_folder_of_the_package_holds_more_than_fifteen_modules():
    for folder in [SOURCE, *(path for path in SOURCE.rglob("*") if path.is_dir())]:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 15, folder


def test_no_config_file_imports_anything_heavy():
    for path in SOURCE.rglob("config.py"):
        assert imports(path) <= {
            "abc",
            "collections",
            "typing",
            "lmexp",
            "dataclasses",
            "math",
            "os",
            "pathlib",
            "re",
            "types",
            "urllib",
        }, path


def test_nothing_is_unpickled_and_no_remote_code_is_trusted():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert "pickle" not in imports(path), path
        assert not re.search(r"trust_remote_code|weights_only=False|shell=True", text), path
