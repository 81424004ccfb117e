"""Continues a text with a model: trained here, adopted, or any folder that could be adopted."""

import argparse
from pathlib import Path
from typing import Any

from lmexp.errors import ConfigError
from lmexp.verbs.models.folder import load
from lmexp.verbs.words import number_or_text


def generate(arguments: argparse.Namespace) -> int:
    """RUN or PATH --prompt TEXT [temperature=0.8 ...]: continue a text with a model"""
    from lmexp.core.values.config import build
    from lmexp.generation.config import SamplingConfig

    values: dict[str, Any] = {}
    stores, names = [], []
    for word in arguments.words:
        key, equals, value = word.partition("=")
        if key == "store" and equals:
            stores.append(word)
        elif equals and key.isidentifier() and not Path(word).is_dir():
            values[key] = {"stop": [value], "suffix": value}.get(key, number_or_text(value))
        else:
            names.append(word)
    config = build(SamplingConfig, values)
    if len(names) != 1:
        raise ConfigError("generate takes one RUN or the PATH of a model; see lmexp ls.")
    model, tokenizer = load(names[0], stores)

    from lmexp.generation.generate import stream_text

    for piece in stream_text(model, tokenizer, arguments.prompt, config):
        print(piece, end="", flush=True)
    print()
    return 0
