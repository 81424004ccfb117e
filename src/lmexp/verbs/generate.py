"""Continues a text with a model: trained here, adopted, or any folder that could be adopted."""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmexp.errors import ConfigError
from lmexp.verbs.words import find_record, split_store


def generate(arguments: argparse.Namespace) -> int:
    """RUN or PATH --prompt TEXT [temperature=0.8 ...]: continue a text with a model"""
    from lmexp.core.store.record import require_published
    from lmexp.core.values.config import build
    from lmexp.generation.config import SamplingConfig

    values: dict[str, Any] = {}
    words = []
    for word in arguments.words:
        key, equals, value = word.partition("=")
        if equals and key.isidentifier() and key != "store" and not Path(word).is_dir():
            values[key] = [value] if key == "stop" else _number(value)
        else:
            words.append(word)
    config = build(SamplingConfig, values)
    path = _model_folder(words)
    require_published(path)

    from lmexp import load_model, load_tokenizer
    from lmexp.generation.generate import stream_text

    for piece in stream_text(load_model(path), load_tokenizer(path), arguments.prompt, config):
        print(piece, end="", flush=True)
    print()
    return 0


def _model_folder(words: Sequence[str]) -> Path:
    """Return the directory of a model that is named by its path, by its artifact or by a run."""
    from lmexp.core.records.runs import find_run

    named = [w for w in words if not w.startswith("store=")]
    if len(named) != 1:
        raise ConfigError("generate takes one RUN or the PATH of a model; see lmexp ls.")
    path = Path(named[0])
    if _is_model(path):
        return path
    _, store = split_store(words)
    record = find_record(store, named[0])
    if record is not None and _is_model(record.path):
        return record.path
    if record is not None or path.is_dir() or "/" in named[0]:
        raise ConfigError(
            f"{named[0]} is not the directory of a model, which holds config.json and model.safetensors; see "
            f"lmexp ls."
        )
    run = find_run(store, named[0])
    folders = sorted({run.artifact(name) for name in run.stages if name != "baseline"})
    models = [folder for folder in folders if _is_model(folder)]
    if len(models) == 1:
        return models[0]
    if models:
        raise ConfigError(
            f"run {named[0]} has {len(models)} models; name one: {', '.join(map(str, models))}."
        )
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(
                f"{folder.relative_to(store.root)} of run {named[0]} is no longer in the store."
            )
    raise ConfigError(f"run {named[0]} has no model; see lmexp ls.")


def _is_model(path: Path) -> bool:
    """Say whether a directory holds a model, whatever made it."""
    return all((path / name).is_file() for name in ("config.json", "model.safetensors"))


def _number(text: str) -> int | float | str | None:
    """Return what `text` spells: a number, null, or itself, which the key's check then refuses."""
    if text == "null":
        return None
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
