"""Takes what something else made into the store."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any

from lmexp.core.provenance.calling import run_words
from lmexp.core.values.settings import absolute_store, default_store
from lmexp.core.values.spelling import command, override, unquoted
from lmexp.errors import ConfigError, nearest

_KINDS = ("model", "tokenizer", "corpus")
_SPLITS = ("train", "validation", "test")
_Use = Callable[[str], list[str]]
"""From an artifact's directory to the words of a run that uses it."""


def adopt(arguments: argparse.Namespace) -> int:
    """model PATH, tokenizer PATH, or corpus train=FILES validation=FILES test=FILES: take it in"""
    from lmexp.analysis.report import report_at_end
    from lmexp.core.graph.compose import composition_of
    from lmexp.core.running.session import run_composition

    stores = [unquoted(w.partition("=")[2]) for w in arguments.words if w.startswith("store=")]
    kind, *words = [w for w in arguments.words if not w.startswith("store=")] or [""]
    if kind not in _KINDS:
        raise ConfigError(
            f"adopt takes one of {', '.join(_KINDS)}, was given {kind!r}{nearest(kind, _KINDS)}."
        )
    config, use = _corpus(words) if kind == "corpus" else _folder(kind, words)
    values: dict[str, Any] = {
        "pipeline": "adopt",
        "store": str(absolute_store(stores[-1] if stores else default_store())),
        "tracking": {"mode": "off"},
        "extensions": arguments.extensions,
        kind: config,
    }
    composition = composition_of(values, experiment=f"adopt-{kind}")
    artifact = run_composition(composition, quiet=True, at_end=report_at_end).run.artifact(kind)
    print(f"adopted as {artifact}")
    own = [override("extensions", arguments.extensions)] if arguments.extensions else []
    print(f"use it: {command([*run_words(typed=True), *use(str(artifact)), *own])}")
    return 0


def _folder(kind: str, words: Sequence[str]) -> tuple[dict[str, Any], _Use]:
    """Return the configuration of an adopted directory, and the words of a run that uses it."""
    if len(words) != 1:
        raise ConfigError(f"adopt {kind} takes one PATH, a directory.")
    path = os.path.abspath(os.path.expanduser(words[0]))
    if kind == "tokenizer":
        return {"path": path}, lambda artifact: ["+experiment=NAME", override("tokenizer.path", artifact)]
    # a corpus of the user's own has to be named: the default is Python's library
    own = ["corpus=local", "corpus.files=[FILES]", "only=[perplexity]"]
    return {"path": path}, lambda artifact: [
        *("--config-name", "evaluate", override("model.path", artifact)),
        *own,
    ]


def _corpus(words: Sequence[str]) -> tuple[dict[str, Any], _Use]:
    """Return the configuration of a corpus that is split already, and the words of a run on it."""
    given = dict(word.partition("=")[::2] for word in words)
    if len(given) < len(words):
        raise ConfigError("adopt corpus takes each split once; give a pattern for several files.")
    for name in given:
        if name not in (*_SPLITS, "column"):
            raise ConfigError(f"adopt corpus takes {', '.join(_SPLITS)} and column, was given {name!r}.")
    missing = [split for split in _SPLITS if not given.get(split)]
    if missing:
        raise ConfigError(
            f"adopt corpus needs {missing[0]}=FILES, a path or a pattern; it has no split without."
        )
    column = given.get("column", "text")
    files = {split: os.path.abspath(os.path.expanduser(given[split])) for split in _SPLITS}
    sources = {
        split: {"kind": "local", "into": split, "files": [path], "column": column}
        for split, path in files.items()
    }
    own = [override(f"corpus.sources.{split}.files", [path]) for split, path in files.items()]
    own += [override(f"corpus.sources.{split}.column", column) for split in _SPLITS if column != "text"]
    return {"sources": sources}, lambda _artifact: ["+experiment=NAME", "corpus=split", *own]
