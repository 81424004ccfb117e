"""Continues a text with a pretrained model."""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

from lmexp.errors import ConfigError
from lmexp.verbs.words import find_record, split_store


def generate(arguments: argparse.Namespace) -> int:
    """RUN or PATH --prompt TEXT [temperature=0.8 ...]: continue a text with a pretrained model"""
    from lmexp.core.config import build
    from lmexp.generation.config import SamplingConfig

    values = {}
    words = []
    for word in arguments.words:
        key, equals, value = word.partition("=")
        if equals and key.isidentifier() and key != "store":
            values[key] = _number(value)
        else:
            words.append(word)
    config = build(SamplingConfig, values)
    path = _pretrained(words)

    from lmexp import load_model, load_tokenizer
    from lmexp.generation.generate import generate_text

    print(generate_text(load_model(path), load_tokenizer(path), arguments.prompt, config))
    return 0


def _pretrained(words: Sequence[str]) -> Path:
    """Return the directory of a pretrain artifact that is named by its path, or by its run and store."""
    from lmexp.core.runs import find_run

    named = [w for w in words if not w.startswith("store=")]
    if len(named) != 1:
        raise ConfigError("generate takes one RUN or the PATH of a pretrain artifact; see lmexp ls.")
    path = Path(named[0])
    if (path / "config.json").is_file():
        return path
    _, store = split_store(words)
    record = find_record(store, named[0])
    if record is not None and record.stage == "pretrain":
        return record.path
    if record is not None or path.is_dir() or "/" in named[0]:
        raise ConfigError(f"{named[0]} is not the directory of a pretrain artifact; see lmexp ls.")
    path = find_run(store, named[0]).artifact("pretrain")
    if not path.is_dir():
        raise ConfigError(f"{path.relative_to(store.root)} of run {named[0]} is no longer in the store.")
    return path


def _number(text: str) -> int | float | str | None:
    """Return what `text` spells: a number, null, or itself, which the key's check then refuses."""
    if text == "null":
        return None
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
