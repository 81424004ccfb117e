"""Configurations of which a key chooses the kind: networks, sources of a corpus.

Each kind is a configuration class with its own fields alone, so that an error can name them, and a family
that is added later changes no other. A user's extension adds kinds by `register`, see
`core.values.registered`.
"""

import dataclasses
import keyword
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lmexp.core.values.registered import (
    Registration,
    active_files,
    every_registration,
    loading_file,
    remember,
)
from lmexp.errors import ConfigError, nearest

Kind = type[Any]
"""A class of configurations: `core.values.config.Config`, which is made with what is here."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneOf:
    """The kinds of a configuration, by the name that its key chooses them with."""

    kinds: Mapping[str, Kind]
    key: str
    """The key whose value is the kind: `architecture` of a model."""
    unnamed: str | None = None
    """The kind where the key is absent. An identity does not name it: it is that of artifacts which were
    made before there were other kinds."""
    shared: tuple[str, ...] = ()
    """Keys that mean the same in each kind that has them: they keep their values where another kind is
    chosen."""
    beside: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """For shared keys, the key beside this configuration that says the same to a kind that lacks them; it
    takes their value where another kind is chosen and it is null."""
    _files: dict[str, Path] = dataclasses.field(default_factory=dict, init=False, repr=False)
    """The extension of each kind that lmexp does not ship."""
    _registered: dict[Kind, tuple[str, Path]] = dataclasses.field(
        default_factory=dict, init=False, repr=False
    )
    """Name and file of all classes that were ever registered: a configuration outlives its activity."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", dict(self.kinds))

    def register(self, name: str, cls: Kind, *, base: Kind) -> None:
        """Add a kind; the files that `extensions=[FILE.py]` names call this when they are imported.

        The same file may register its kinds again. What a file registers that is no extension, such as a
        pipeline, is a kind only where it is named as one. All kinds derive from `base`, and define what it
        declares as abstract.
        Errors: `ConfigError` for a name that is no key or is taken, a class that is no such configuration, is
        a kind already, lacks a definition or has a field of the name that chooses the kind, and a call from
        no such file.
        """
        file = loading_file()
        if file is None:
            raise ConfigError(
                f"the {self.key} {name!r} is registered by no file; write it into one and name that with "
                f"extensions=[FILE.py]."
            )
        self._check(name, cls, file, base)
        remember(Registration(one_of=self, name=name, cls=cls, file=file))
        if file in active_files():
            self.restore(name, cls, file)

    def _check(self, name: Any, cls: Any, file: Path, base: Kind) -> None:
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
            raise ConfigError(
                f"{file} registers the {self.key} {name!r}, which is no key; use letters, digits and _."
            )
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise ConfigError(
                f"{file} registers {cls!r} as {self.key} {name!r}; give a class of {base.__name__}."
            )
        undefined = sorted(getattr(cls, "__abstractmethods__", ()))
        if undefined:
            raise ConfigError(
                f"{file} registers {cls.__name__} as {self.key} {name!r}, and it defines no "
                f"{undefined[0]!r}; {base.__name__} says what that is."
            )
        if self.key in names(cls):
            raise ConfigError(
                f"{file} registers {cls.__name__} as {self.key} {name!r}, and that class has a field "
                f"{self.key}, which chooses the kind; rename the field."
            )

    def restore(self, name: str, cls: Kind, file: Path) -> None:
        """Have a kind of an extension among the others. Errors: `ConfigError` for a name that is taken."""
        other = self._files.get(name)
        if name in self.kinds and other is None:
            raise ConfigError(
                f"{file} registers the {self.key} {name!r}, which lmexp has; choose another name."
            )
        if other is not None and other != file:
            raise ConfigError(
                f"{other} and {file} both register the {self.key} {name!r}; rename one of them."
            )
        others = [kind for kind, known in self.kinds.items() if known is cls and kind != name]
        if others:
            raise ConfigError(
                f"{file} registers {cls.__name__} as {self.key} {name!r}, and it is {others[0]!r} already; "
                f"register each class once."
            )
        self.kinds[name] = cls  # type: ignore[index]
        self._files[name] = file
        self._registered[cls] = (name, file)

    def withdraw(self, name: str, file: Path) -> None:
        """Take a kind of an extension out, where it is there."""
        if self._files.get(name) == file:
            del self._files[name]
            del self.kinds[name]  # type: ignore[attr-defined]

    def extension_of(self, config: object) -> Path | None:
        """Return the file that has registered a configuration's kind; None for one that lmexp ships."""
        return self._registered.get(type(config), (None, None))[1]

    def file_of(self, kind: str) -> Path | None:
        """Return the file that has registered a kind which is there; None for one that lmexp ships."""
        return self._files.get(kind)

    def default(self) -> Any:
        """Return the configuration of the unnamed kind with its own defaults."""
        assert self.unnamed is not None, f"one kind has to be named by {self.key}"
        return self.kinds[self.unnamed]()

    def kind_of(self, config: object) -> str:
        """Return the name of a configuration's kind."""
        kind = next((kind for kind, cls in self.kinds.items() if cls is type(config)), None)
        return self._registered[type(config)][0] if kind is None else kind

    def kinds_where(self, holds: Callable[[Any], bool]) -> list[str]:
        """Return the names of the kinds of whose class `holds` is true."""
        return [kind for kind, cls in self.kinds.items() if holds(cls)]

    def kind_in(self, values: Mapping[str, Any], where: str, otherwise: str | None = None) -> str:
        """Return the kind that plain values choose, `otherwise` where they name none.

        Errors: `ConfigError` with the nearest kind for one that is not known.
        """
        kind = values.get(self.key)
        if kind is None:
            kind = self.unnamed if self.unnamed is not None and otherwise not in self.kinds else otherwise
        if not isinstance(kind, str) or kind not in self.kinds:
            known = ", ".join(self.kinds)
            files = [made.file for made in every_registration() if made.one_of is self and made.name == kind]
            hint = nearest(str(kind), self.kinds)
            if files:
                hint = f"; {files[0]} defines it, name that with extensions=[FILE.py]"
            elif isinstance(kind, str) and not hint:
                hint = "; give the file of one of your own with extensions=[FILE.py]"
            raise ConfigError(f"{where}.{self.key} must be one of {known}, was {kind!r}{hint}.")
        return kind

    def rest(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return plain values without the key that chooses the kind."""
        return {name: value for name, value in values.items() if name != self.key}

    def refuse_other_kinds_keys(self, kind: str, values: Mapping[str, Any], where: str) -> None:
        """Raise `ConfigError` for the first key that only other kinds have."""
        own = self.kinds[kind]
        for key, value in values.items():
            if key in names(own) or key in own.refused or own.former.get(key, self) == value:
                continue
            having = [name for name, cls in self.kinds.items() if key in names(cls)]
            if having:
                raise ConfigError(
                    f"{where}.{key} does not apply to {self.key} {kind}, only to {', '.join(having)}; leave "
                    f"it out, or where the experiment sets it, take it away with '~{where}.{key}'."
                )


def names(cls: Kind) -> list[str]:
    """Return the names of a class's fields."""
    return [field.name for field in dataclasses.fields(cls)]
