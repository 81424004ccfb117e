"""Takes what something else made into the store."""

import argparse
import os
from typing import Any

from lmexp.core.settings import absolute_store, default_store
from lmexp.errors import ConfigError, nearest

_KINDS = ("model", "tokenizer")
_USE = {
    "model": "python -m lmexp.run --config-name evaluate model.path={path}",
    "tokenizer": "python -m lmexp.run +experiment=NAME tokenizer.path={path}",
}


def adopt(arguments: argparse.Namespace) -> int:
    """model PATH, or tokenizer PATH: check it and take it into the store"""
    from lmexp.core.compose import composition_of
    from lmexp.core.session import run_composition

    stores = [w.partition("=")[2] for w in arguments.words if w.startswith("store=")]
    words = [w for w in arguments.words if not w.startswith("store=")]
    if len(words) != 2:
        raise ConfigError(f"adopt takes what it is ({' or '.join(_KINDS)}) and one PATH.")
    kind, path = words
    if kind not in _KINDS:
        raise ConfigError(f"{kind!r} cannot be adopted{nearest(kind, _KINDS)}; known: {', '.join(_KINDS)}.")
    values: dict[str, Any] = {
        "pipeline": "adopt",
        "store": str(absolute_store(stores[-1] if stores else default_store())),
        "tracking": {"mode": "off"},
        kind: {"path": os.path.abspath(os.path.expanduser(path))},
    }
    run = run_composition(composition_of(values, experiment=f"adopt-{kind}"), quiet=True).run
    artifact = run.artifact(kind)
    print(f"adopted as {artifact}")
    print(f"use it: {_USE[kind].format(path=artifact)}")
    return 0
