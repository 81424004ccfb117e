"""Configurations of which a key chooses the kind: networks, sources of a corpus.

Each kind is a configuration class with its own fields alone, so that an error can name them, and a family
that is added later changes no other.
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmexp.errors import ConfigError, nearest

if TYPE_CHECKING:
    from lmexp.core.values.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneOf:
    """The kinds of a configuration, by the name that its key chooses them with."""

    kinds: Mapping[str, "type[Config]"]
    key: str
    """The key whose value is the kind: `architecture` of a model."""
    unnamed: str | None = None
    """The kind where the key is absent. An identity does not name it: it is that of artifacts which were
    made before there were other kinds."""
    shared: tuple[str, ...] = ()
    """Keys that mean the same in each kind that has them: they keep their values where another kind is
    chosen."""

    def default(self) -> Any:
        """Return the configuration of the unnamed kind with its own defaults."""
        assert self.unnamed is not None, f"one kind has to be named by {self.key}"
        return self.kinds[self.unnamed]()

    def kind_of(self, config: "Config") -> str:
        """Return the name of a configuration's kind."""
        return next(kind for kind, cls in self.kinds.items() if cls is type(config))

    def kind_in(self, values: Mapping[str, Any], where: str, otherwise: str | None = None) -> str:
        """Return the kind that plain values choose, `otherwise` where they name none.

        Errors: `ConfigError` with the nearest kind for one that is not known.
        """
        kind = values.get(self.key)
        kind = kind if kind is not None else otherwise or self.unnamed
        if not isinstance(kind, str) or kind not in self.kinds:
            known = ", ".join(self.kinds)
            raise ConfigError(
                f"{where}.{self.key} must be one of {known}, was {kind!r}{nearest(str(kind), self.kinds)}."
            )
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


def names(cls: "type[Config]") -> list[str]:
    """Return the names of a class's fields."""
    return [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
