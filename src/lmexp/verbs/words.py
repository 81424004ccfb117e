"""What the words of a command line stand for: a store, runs, artifacts, an experiment."""

import argparse
import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmexp.core.values.fingerprint import SHORT
from lmexp.core.values.settings import absolute_store, default_store
from lmexp.core.values.spelling import unquoted
from lmexp.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from lmexp.core.graph.compose import Composition
    from lmexp.core.store.record import Record
    from lmexp.core.store.store import Store


def split_store(words: Sequence[str]) -> tuple[list[str], "Store"]:
    """Return the words without ``store=PATH``, and that store, which must exist."""
    from lmexp.core.store.root import is_store
    from lmexp.core.store.store import Store

    chosen = [unquoted(w.partition("=")[2]) for w in words if w.startswith("store=")]
    rest = [w for w in words if not w.startswith("store=")]
    if chosen and not chosen[-1]:
        raise ConfigError("store= names no directory; write store=PATH.")
    for word in rest:
        key, equals, _ = word.partition("=")
        if equals and (hint := nearest(key, ("store",))):
            raise ConfigError(f"{key}= is not expected here{hint}.")
    store = Store(absolute_store(chosen[-1] if chosen else default_store()))
    if not store.root.is_dir():
        beside = [path.name for path in store.root.parent.glob("*/") if is_store(path)]
        raise ConfigError(
            f"there is no store at {store.root}{nearest(store.root.name, beside)}; give the right one with "
            f"store=PATH."
        )
    store.require()
    return rest, store


def composed(arguments: argparse.Namespace) -> "tuple[Composition, Store]":
    """Return the experiment that the words compose, and its store."""
    from lmexp.core.graph.compose import compose
    from lmexp.core.store.store import Store

    composition = compose(arguments.words, config_name=arguments.config_name, config_dir=arguments.config_dir)
    return composition, Store(composition.store)


def named_records(store: "Store", words: Sequence[str]) -> "list[Record]":
    """Return the named artifacts and those of the named runs; all where nothing is named."""
    from lmexp.core.records.runs import find_run

    if not words:
        return store.records()
    found = []
    for word in words:
        record = find_record(store, word)
        if record is not None:
            found.append(record)
            continue
        for entry in find_run(store, word).stages.values():
            published = store.find(entry["stage"], entry["fingerprint"])
            if published is None:
                raise ConfigError(f"{entry['artifact']} of run {word} is no longer in the store.")
            found.append(published)
    return found


def find_record(store: "Store", word: str) -> "Record | None":
    """Return the one artifact whose path, name or fingerprint the word is or begins."""
    path = word.rstrip("/")
    absolute = os.path.abspath(path)

    def may_be_meant(_stage: str, name: str) -> bool:
        return absolute.endswith(name) or (len(word) >= 8 and name[-SHORT:].startswith(word[:SHORT]))

    matches = [
        r
        for r in store.records_where(may_be_meant)
        if absolute == os.path.abspath(r.path)
        or path in (str(r.path), r.path.relative_to(store.root).as_posix(), f"{r.stage}/{r.name}", r.name)
        or (len(word) >= 8 and r.fingerprint.startswith(word))
    ]
    return matches[0] if len(matches) == 1 else None


def no_more(words: Sequence[str]) -> None:
    """Refuse words that a verb has no use for."""
    if words:
        raise ConfigError(f"{words[0]!r} is not expected here; only store=PATH is.")


def number_or_text(text: str) -> int | float | str | None:
    """Return what `text` spells: a number, null, or itself, which the key's check then refuses."""
    if text == "null":
        return None
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def whole_number(option: str, text: str | None, default: int, *, least: int = 1) -> int:
    """Return the whole number that an option gives. Errors: `ConfigError` for another or a smaller one."""
    value = default if text is None else number_or_text(text)
    if type(value) is not int or value < least:
        raise ConfigError(f"--{option} takes a whole number, at least {least}, was {text!r}.")
    return value


def text_lines(file: str) -> list[str]:
    """Return the lines of a text file. Errors: those of `text_of`."""
    return text_of(file).splitlines()


def text_of(file: str | Path) -> str:
    """Return what a text file holds. Errors: `DataError` where it cannot be read as UTF-8."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); give a text file.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 at byte {error.start}; write it as UTF-8.") from None


def print_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
