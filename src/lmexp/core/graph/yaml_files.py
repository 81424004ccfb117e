"""Configuration files that would never end: refused by their structure, before anything is built of them.

A YAML file of a few lines can stand for more than memory holds, since an alias (``*name``) repeats what its
anchor names; it can contain itself, and it can nest deeper than Python's stack. What a file stands for is
counted here from its events, without building it. Whether it is YAML at all is said by who reads it.
"""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from lmexp.errors import ConfigError

MAX_DEPTH = 100
MAX_NODES = 100_000
"""Keys and values, each alias counted as all that it stands for."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_yaml_files(directory: Path) -> None:
    """Raise `ConfigError` for a YAML file in a directory that is nested, or repeated, without end."""
    for path, stat in yaml_files(directory):
        _check(path, stat.st_mtime_ns, stat.st_size)


def yaml_files(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the YAML files of a directory, but for links that lead nowhere, such as editors' locks."""
    for path in sorted(directory.rglob("*.yaml")):
        try:
            stat = path.stat()
        except OSError:
            continue
        yield path, stat


@functools.lru_cache(maxsize=4096)
def _check(path: Path, _modified: int, _size: int) -> None:
    try:
        with path.open("rb") as file:
            problem = endless(file.read())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        too_deep = mark is not None and "nesting depth" in str(error.problem)  # libyaml's own limit
        problem = f"line {mark.line + 1} nests more than {MAX_DEPTH} levels deep" if too_deep else ""
    except (OSError, ValueError, yaml.YAMLError):
        return
    if problem:
        raise ConfigError(f"{path}, {problem}.")


def endless(text: str | bytes) -> str:
    """Return what makes a YAML text deeper or larger than a configuration can be; nothing for others.

    Errors: `yaml.YAMLError` where it is not YAML.
    """
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = [(None, 0)]
    for event in yaml.parse(text, Loader=_LOADER):
        line = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, 1))
            if len(open_nodes) > MAX_DEPTH:
                return f"{line} nests more than {MAX_DEPTH} levels deep"
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_nodes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == name for name, _ in open_nodes):
                return f"{line}: *{event.anchor} refers to what it is part of"
            anchor, size = None, sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        open_nodes[-1] = (open_nodes[-1][0], open_nodes[-1][1] + size)
        if open_nodes[-1][1] > MAX_NODES:
            return f"{line} stands for more than {MAX_NODES:,} keys and values, with its aliases written out"
    return ""
