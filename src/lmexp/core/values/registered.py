"""Which files of the user's may add kinds to a union now, and which have.

An extension is a Python file that the user names. While it is imported it is the one that registers; the
kinds that it has registered are there as long as it is active, and no longer. What is active is one state
of this process, so that the next composition begins with its own files alone.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol


class Union(Protocol):
    """What kinds are added to: `core.values.one_of.OneOf`."""

    @property
    def key(self) -> str:
        """The key whose value is the kind."""
        ...

    def restore(self, name: str, cls: type[Any], file: Path) -> None:
        """Have a kind among the others."""
        ...

    def withdraw(self, name: str, file: Path) -> None:
        """Take a kind out, where it is there."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Registration:
    """A kind that a file has added to a union."""

    one_of: Union
    name: str
    cls: type[Any]
    file: Path


_active: list[Path] = []
_loading: list[Path] = []
_made: dict[Path, dict[tuple[int, str], Registration]] = {}


def active_files() -> tuple[Path, ...]:
    """Return the extensions that are active, in the order in which they were named."""
    return tuple(_active)


def loading_file() -> Path | None:
    """Return the extension that is being imported."""
    return _loading[-1] if _loading else None


@contextlib.contextmanager
def loading(file: Path) -> Iterator[None]:
    """Let what a file registers count as its own, in place of what it has registered before."""
    _loading.append(file)
    before = _made.pop(file, {})
    try:
        yield
    except BaseException:
        _made[file] = before
        raise
    finally:
        _loading.pop()


def remember(made: Registration) -> None:
    """Keep a registration, for when its file is active again without being imported again."""
    _made.setdefault(made.file, {})[id(made.one_of), made.name] = made


def registrations(file: Path) -> list[Registration]:
    """Return what a file has registered when it was last imported."""
    return list(_made.get(file, {}).values())


def every_registration() -> list[Registration]:
    """Return what all files have registered, active or not."""
    return [one for made in _made.values() for one in made.values()]


def set_active(files: Sequence[Path]) -> None:
    """Say which extensions are active, and take the kinds of all others out of their unions."""
    _active[:] = files
    for file, made in _made.items():
        if file not in _active:
            for one in made.values():
                one.one_of.withdraw(one.name, file)
