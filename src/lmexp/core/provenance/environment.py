"""What a computation ran on: recorded beside every result, never part of its identity."""

import functools
import hashlib
import importlib.metadata
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

_PACKAGES = (
    "lmexp",
    "torch",
    "pytorch-lightning",
    "tokenizers",
    "numpy",
    "pyarrow",
    "safetensors",
    "hydra-core",
    "wandb",
)


@functools.cache
def environment() -> dict[str, Any]:
    """Return versions, hardware and the state of lmexp's own source tree."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "host": socket.gethostname(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _git(),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _git() -> dict[str, Any] | None:
    """Return the commit of the checkout that lmexp runs from, and a hash of what differs from it."""
    root = Path(__file__).resolve().parents[4]
    if not (root / ".git").exists():
        return None
    try:
        commit = _run_git(root, "rev-parse", "HEAD").decode().strip()
        diff = _run_git(root, "diff", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "diff_sha256": hashlib.sha256(diff).hexdigest() if diff else None}


def _run_git(root: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(root), *arguments]
    # inside a hook of another repository, git's own variables would name that one
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(command, capture_output=True, check=True, timeout=10, env=variables).stdout
