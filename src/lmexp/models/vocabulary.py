"""The size of a vocabulary, as files state it."""

from typing import Any

from lmexp.errors import ConfigError

MOST_IDS = 2**24
"""Largest vocabulary; a larger one is a damaged number."""


def vocabulary_size(value: Any) -> int:
    """Return a vocabulary size that can be one. Errors: `ConfigError`."""
    if type(value) is not int or not 1 <= value <= MOST_IDS:
        raise ConfigError(f"vocab_size must be a positive integer up to {MOST_IDS:,}, was {value!r}.")
    return value
