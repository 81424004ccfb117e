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


def test_no_config_file_imports_anything_heavy():
    for path in SOURCE.rglob("config.py"):
        assert imports(path) <= {
            "collections",
            "typing",
            "lmexp",
            "dataclasses",
            "math",
            "os",
            "re",
            "types",
            "urllib",
        }, path


def test_nothing_is_unpickled_and_no_remote_code_is_trusted():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert "pickle" not in imports(path), path
        assert not re.search(r"trust_remote_code|weights_only=False|shell=True", text), path
