"""An n-gram model as a folder: its counts in model.safetensors, all else in config.json; never pickle.

    config.json          {"family": "ngram", "format": 1, "model": {...}, "vocab_size": V, "bos_token_id": b}
    model.safetensors    tokens [V]; keys.n [G] and counts.n [G] of each order n from 2 upwards; all int64

The counts are `adjusted.Adjusted`'s. Weights are not stored: they follow from the counts, the same to the
last bit each time, and no file can hold any that do not sum to one. 16 bytes for each different n-gram. Those
of `jelinek_mercer` alone, one for each order, may have been fitted, and stand in config.json as
"interpolation_weights".

A folder is foreign until it is checked: `load` refuses what `save` would not have written, as far as it can
be told without counting again.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lmexp.core.values.config import build, identity
from lmexp.core.values.foreign import file_inside, read_object
from lmexp.errors import ConfigError, DataError
from lmexp.models.families.ngram.adjusted import Adjusted
from lmexp.models.families.ngram.config import NGramConfig
from lmexp.models.families.ngram.counts import MOST_IDS
from lmexp.models.families.ngram.grams import Ints
from lmexp.models.families.ngram.model import NGram

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FITTED = "interpolation_weights"
FORMAT = 1
"""Raised when a folder that was written before can no longer be read as it was meant."""

_MOST_COUNTED = 2**53
"""Largest sum of counts; beyond it a float is not exact, and no text is that long."""


def save(model: NGram, directory: Path) -> None:
    """Write `model` into `directory`, which is made if it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    values = {
        "family": NGram.family,
        "format": FORMAT,
        "model": identity(model.config),
        "vocab_size": model.vocab_size,
        "bos_token_id": model.bos_token_id,
    }
    if model.interpolation_weights:
        values[FITTED] = list(model.interpolation_weights)
    (directory / CONFIG).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    arrays = {"tokens": model.counts.tokens}
    for n, (keys, counts) in enumerate(zip(model.counts.keys, model.counts.counts, strict=True), start=2):
        arrays |= {f"keys.{n}": keys, f"counts.{n}": counts}
    save_file(arrays, directory / WEIGHTS)


def load(directory: Path) -> NGram:
    """Return the model that `directory` holds.

    Errors: `DataError` if a file is missing, a link out of the folder or unreadable; if a key of config.json
    is missing, unknown or no possible value; if an array is missing, unknown, or of another shape or dtype
    than the configuration means; if n-grams are not in order, hold an id outside the vocabulary or one that
    begins documents in their midst; and if a count is not positive.
    """
    for name in (CONFIG, WEIGHTS):
        if file_inside(directory, name) is None:
            raise DataError(f"{directory} holds no {name}; the folder of an n-gram model needs it.")
    values = read_object(directory / CONFIG)
    config, vocab_size, bos_token_id = _read_config(directory / CONFIG, values)
    fitted = _read_fitted(directory / CONFIG, values, config)
    path = directory / WEIGHTS
    expected = ["tokens", *(f"{part}.{n}" for n in range(2, config.order + 1) for part in ("keys", "counts"))]
    try:
        with safe_open(path, framework="numpy") as file:
            _check_names(path, set(expected), set(file.keys()))
            arrays = {name: _read_array(path, file, name) for name in expected}
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file ({error}); save it again.") from error
    counts = Adjusted(
        tokens=arrays["tokens"],
        keys=[arrays[f"keys.{n}"] for n in range(2, config.order + 1)],
        counts=[arrays[f"counts.{n}"] for n in range(2, config.order + 1)],
    )
    _check_counts(path, counts, vocab_size, bos_token_id)
    return NGram(config, counts, bos_token_id=bos_token_id, interpolation_weights=fitted)


def _read_config(path: Path, values: dict[str, Any]) -> tuple[NGramConfig, int, int]:
    """Return the settings, the vocabulary size and the id that begins documents."""
    known = ("family", "format", "model", "vocab_size", "bos_token_id")
    missing, unknown = set(known) - set(values), set(values) - {*known, FITTED}
    for names, words in ((missing, "lacks the"), (unknown, "has the unknown")):
        if names:
            raise DataError(f"{path} {words} key {min(names)!r}; an n-gram's has {', '.join(known)}.")
    if values["family"] != NGram.family:
        raise DataError(f"{path} is of the family {values['family']!r}; an n-gram's is {NGram.family!r}.")
    if type(values["format"]) is not int or values["format"] != FORMAT:
        raise DataError(
            f"{path} is of format {values['format']!r}; this lmexp reads format {FORMAT}: fit the model "
            f"again, or read it with the lmexp that wrote it."
        )
    if not isinstance(values["model"], dict):
        raise DataError(f"{path} must hold a JSON object as model, holds {values['model']!r}.")
    needed = {f.name for f in dataclasses.fields(NGramConfig) if "absent_means" not in f.metadata}
    unset = needed - set(values["model"])
    if unset:
        raise DataError(f"{path} lacks the key 'model.{min(unset)}'; save the model again.")
    try:
        config = build(NGramConfig, values["model"], "model")
    except ConfigError as error:
        raise DataError(f"{path} describes no valid n-gram: {error}") from error
    vocab_size = _integer(path, values, "vocab_size", 1, MOST_IDS)
    return config, vocab_size, _integer(path, values, "bos_token_id", 0, vocab_size - 1)


def _read_fitted(path: Path, values: dict[str, Any], config: NGramConfig) -> tuple[float, ...]:
    """Return the weight of each order's own share; none for a kind of smoothing that has no such weights."""
    found, num = values.get(FITTED, []), config.order if config.smoothing == "jelinek_mercer" else 0
    is_list = isinstance(found, list) and all(type(weight) is float and 0 <= weight <= 1 for weight in found)
    if not is_list or len(found) != num:
        raise DataError(
            f"{path} has {FITTED}={found!r}; {num} numbers from 0 to 1 belong there with "
            f"smoothing={config.smoothing} at order {config.order}."
        )
    return tuple(found)


def _integer(path: Path, values: dict[str, Any], name: str, least: int, most: int) -> int:
    value = values[name]
    if type(value) is not int or not least <= value <= most:
        raise DataError(f"{path} has {name}={value!r}; it must be an integer from {least:,} to {most:,}.")
    return value


def _check_names(path: Path, expected: set[str], found: set[str]) -> None:
    for names, words in ((expected - found, "lacks the"), (found - expected, "holds the unknown")):
        if names:
            raise DataError(
                f"{path} {words} array {min(names)} ({len(names)} in all); it is not of the model that its "
                f"config.json describes."
            )


def _read_array(path: Path, file: Any, name: str) -> Ints:
    """Return one array. Errors: `DataError` for another dtype than int64 and for more than one axis."""
    found = file.get_slice(name)
    if found.get_dtype() != "I64" or len(found.get_shape()) != 1:
        raise DataError(
            f"{path} stores {name} as {found.get_dtype()} of shape {found.get_shape()}; an n-gram's arrays "
            f"are I64 with one axis."
        )
    return np.asarray(file.get_tensor(name))


def _check_counts(path: Path, counts: Adjusted, vocab_size: int, bos_token_id: int) -> None:
    """Raise `DataError` for arrays that no counting gives."""
    if len(counts.tokens) != vocab_size:
        raise DataError(
            f"{path} counts {len(counts.tokens)} tokens, and its config.json has vocab_size={vocab_size}; "
            f"the two files are not of one model."
        )
    _check_numbers(path, "tokens", counts.tokens, least=0)
    if not counts.tokens.any():
        raise DataError(f"{path} counts no token at all; it is damaged.")
    contexts = np.arange(vocab_size)  # last token of each n-gram of the order below
    for n, (keys, numbers) in enumerate(zip(counts.keys, counts.counts, strict=True), start=2):
        if keys.shape != numbers.shape:
            raise DataError(f"{path} has {len(keys)} keys.{n} and {len(numbers)} counts.{n}; it is damaged.")
        _check_numbers(path, f"counts.{n}", numbers, least=1)
        if (keys[1:] <= keys[:-1]).any():
            place = int(np.argmax(keys[1:] <= keys[:-1])) + 1
            raise DataError(f"{path} has keys.{n} that do not ascend at place {place}; it is damaged.")
        if len(keys) and not (keys[0] >= 0 and keys[-1] // vocab_size < len(contexts)):
            raise DataError(
                f"{path} has keys.{n} from {keys[0]} to {keys[-1]}; with {len(contexts)} contexts and "
                f"{vocab_size} ids they must lie in [0, {len(contexts) * vocab_size})."
            )
        if n > 2 and (contexts[keys // vocab_size] == bos_token_id).any():
            raise DataError(
                f"{path} has {n}-grams that go on after the token {bos_token_id}, which ends documents; it "
                f"is damaged, or bos_token_id is."
            )
        contexts = keys % vocab_size


def _check_numbers(path: Path, name: str, numbers: Ints, *, least: int) -> None:
    if len(numbers) and not (numbers.min() >= least and numbers.sum(dtype=np.float64) < _MOST_COUNTED):
        raise DataError(
            f"{path} has {name} from {numbers.min()} to {numbers.max()}; each must be at least {least}, and "
            f"their sum below 2^53."
        )
