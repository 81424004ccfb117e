"""Frozen configuration classes that check themselves, and the strict builder for them.

A configuration is a frozen, keyword-only dataclass that derives from `Config`. Each field is
declared with `option(...)`, which states its range and how it takes part in a stage's identity:

- an ordinary field is *identity*: it is hashed into the fingerprint;
- ``placement=True`` marks what cannot change a result beyond rounding (devices, threads, paths);
- ``by_content=True`` marks a path whose *content* enters the fingerprint elsewhere;
- ``absent_means=x`` lets a field be added later: at the value ``x``, and only there, it is left
  out of the hash, so that artifacts made before the field existed keep their identity;
- a method `revised` names the settings whose results changed since they were first published, so that
  they alone get another identity;
- ``one_of=OneOf(...)`` makes a field a configuration of one of several classes, which a key of it chooses;
- ``each_of=OneOf(...)`` makes a field a mapping from names that the user chooses to such configurations;
  an entry that names no kind is of the kind that its own name says.

Values are checked on construction, so a configuration that exists is valid, whether it came
from Hydra, from a spec file or from Python.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, dataclass_transform

from lmexp.core.values.one_of import OneOf, names
from lmexp.core.values.other_names import nearest_key
from lmexp.errors import ConfigError, nearest

_MISSING = dataclasses.MISSING
_HINTS: dict[type, Mapping[str, Any]] = {}


def option(
    default: Any = _MISSING,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: tuple[Any, ...] | None = None,
    placement: bool = False,
    by_content: bool = False,
    absent_means: Any = _MISSING,
    one_of: OneOf | None = None,
    each_of: OneOf | None = None,
) -> Any:
    """Declare a field: its default, its range and its part in identity.

    Bounds hold for numbers and, in a tuple field, for each element; so do `choices`. The default
    of a field with `each_of` is an empty mapping.
    """
    metadata = {
        "bounds": {k: v for k, v in (("ge", ge), ("gt", gt), ("le", le), ("lt", lt)) if v is not None},
        "choices": choices,
        "placement": placement,
        "by_content": by_content,
        "one_of": one_of,
        "each_of": each_of,
    }
    if absent_means is not _MISSING:
        metadata["absent_means"] = absent_means
    if each_of is not None:
        return dataclasses.field(default_factory=dict, metadata=metadata, kw_only=True)
    if default is _MISSING:
        return dataclasses.field(metadata=metadata, kw_only=True)
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
class Config:
    """Base of all configurations; subclasses become frozen keyword-only dataclasses."""

    refused: typing.ClassVar[Mapping[str, str]] = {}
    """Names that a user may reasonably try but that are not accepted, each with its reason."""

    former: typing.ClassVar[Mapping[str, Any]] = {}
    """Names of fields that the class had once, each with the one value that is still accepted, since records
    and experiments hold it. They stay in the identity, but for those of `former_unhashed`."""

    former_unhashed: typing.ClassVar[frozenset[str]] = frozenset()
    """Names in `former` that the identity left out at that value."""

    goes_with: typing.ClassVar[Mapping[str, str]] = {}
    """Names of configurations beside this one, each with its kind where nothing names one."""

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if each_of := field.metadata.get("each_of"):
                value = _checked_entries(value, each_of, field.name)
            elif one_of := field.metadata.get("one_of"):
                value = _checked_kind(value, one_of, field.name)
            else:
                value = _coerce(value, hints[field.name], field.name, field.metadata)
            object.__setattr__(self, field.name, value)
        self.check()

    def check(self) -> None:
        """Raise `ConfigError` for a combination of fields that cannot work. Override as needed."""

    def revised(self) -> Mapping[str, int]:
        """Return a number for each thing that these settings compute otherwise than at first.

        It enters the identity as `revised`, where there is one: artifacts of all other settings keep
        theirs. Raise a number, as a stage's version, when what it stands for changes again.
        """
        return {}


C = TypeVar("C", bound=Config)


def build(cls: type[C], values: Mapping[str, Any], path: str = "", root: "type[Config] | None" = None) -> C:
    """Build `cls` from plain nested mappings, refusing what it does not declare.

    Errors: `ConfigError` naming the full dotted key for an unknown key (with the nearest valid
    one), a missing key, a wrong type or a value out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = _hints(cls)
    prefix = f"{path}." if path else ""
    root = root or cls
    _check_keys(cls, values, path, root)
    arguments: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in values or values[name] == "???":
            if field.default is _MISSING and field.default_factory is _MISSING:
                raise ConfigError(f"{prefix}{name} is required and was not given.")
            continue
        value = values[name]
        if value is None and type(None) not in typing.get_args(hints[name]):
            raise ConfigError(f"{prefix}{name} is required and was not given.")
        nested = _config_class(hints[name])
        if each_of := field.metadata.get("each_of"):
            value = _build_entries(each_of, value, f"{prefix}{name}")
        elif one_of := field.metadata.get("one_of"):
            value = (
                value if isinstance(value, Config) else _build_kind(one_of, value, f"{prefix}{name}", root)
            )
        elif nested is not None and not isinstance(value, Config) and value is not None:
            value = build(nested, value, f"{prefix}{name}", root)
        arguments[name] = value
    try:
        return cls(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from None if path else error


def _build_kind(
    one_of: OneOf, values: Any, path: str, root: "type[Config] | None" = None, otherwise: str | None = None
) -> Config:
    """Build plain values as the class of the kind that they choose, `otherwise` where they name none."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} must be a group of keys, was {values!r}.")
    kind, keys = one_of.kind_in(values, path, otherwise), one_of.rest(values)
    one_of.refuse_other_kinds_keys(kind, keys, path)
    cls: type[Config] = one_of.kinds[kind]
    return build(cls, keys, path, root)


def _build_entries(each_of: OneOf, values: Any, path: str) -> dict[str, Config]:
    """Build each named entry as the class that its kind, or else its name, stands for."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} must be a group of keys, was {values!r}.")
    return {
        str(name): _build_kind(each_of, {} if value is None else value, f"{path}.{name}", otherwise=name)
        for name, value in values.items()
    }


def _check_keys(cls: type[Config], values: Any, path: str, root: type[Config]) -> None:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path} must be a group of keys, was {values!r}.")
    fields = names(cls)
    prefix = f"{path}." if path else ""
    for key, value in values.items():
        if key in cls.refused:
            raise ConfigError(f"{prefix}{key} is not accepted: {cls.refused[key]}.")
        if key in cls.former:
            if value != cls.former[key]:
                raise ConfigError(f"{prefix}{key} does not apply here, was {value!r}; leave it out.")
        elif key not in fields:
            hint = nearest_key(str(key), fields, everywhere=dotted_names(root))
            raise ConfigError(f"{prefix}{key} is not a known key{hint}.")


def dotted_names(cls: type[Config], path: str = "") -> list[str]:
    """Return the dotted names of all keys and groups of keys of a config class, of all kinds of a union."""
    found: list[str] = []
    hints = _hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        name, hint, one_of = f"{path}{field.name}", hints[field.name], field.metadata.get("one_of")
        found.append(name)
        if one_of is not None:
            found.append(f"{name}.{one_of.key}")
            found += [key for kind in one_of.kinds.values() for key in dotted_names(kind, f"{name}.")]
        elif isinstance(hint, type) and issubclass(hint, Config):
            found += dotted_names(hint, f"{name}.")
    return list(dict.fromkeys(found))


def to_dict(config: Config) -> dict[str, Any]:
    """Return every field as plain JSON-able values; `build` inverts it."""
    result: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        result[field.name] = _nested(getattr(config, field.name), field.metadata, to_dict)
    return result


def identity(config: Config) -> dict[str, Any]:
    """Return only the fields that take part in the fingerprint, as plain JSON-able values."""
    result: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value, metadata = getattr(config, field.name), field.metadata
        if metadata.get("placement") or metadata.get("by_content"):
            continue
        if "absent_means" in metadata and value == metadata["absent_means"]:
            continue
        result[field.name] = _nested(value, metadata, identity)
        one_of = metadata.get("one_of")
        if one_of is not None and value is not None and one_of.kind_of(value) == one_of.unnamed:
            del result[field.name][one_of.key]
    result |= {name: value for name, value in config.former.items() if name not in config.former_unhashed}
    if revised := config.revised():
        result["revised"] = dict(revised)
    return result


def _nested(value: Any, metadata: Mapping[str, Any], plain: Callable[[Config], dict[str, Any]]) -> Any:
    """Return a field's value as plain values, each configuration in it as `plain` has it."""
    if each_of := metadata.get("each_of"):
        return {name: {each_of.key: each_of.kind_of(entry), **plain(entry)} for name, entry in value.items()}
    if not isinstance(value, Config):
        return _plain(value)
    one_of = metadata.get("one_of")
    return plain(value) if one_of is None else {one_of.key: one_of.kind_of(value), **plain(value)}


def completed(cls: type[Config], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return an identity, of now or of a record, with each field that it leaves out at what that means."""
    result = dict(recorded)
    hints = _hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        name, absent = field.name, field.metadata.get("absent_means", _MISSING)
        if name not in result and absent is not _MISSING:
            result[name] = identity(absent) if isinstance(absent, Config) else _plain(absent)
        value = result.get(name)
        if not isinstance(value, Mapping):
            continue
        nested = _config_class(hints[name])
        if each_of := field.metadata.get("each_of"):
            result[name] = {key: _completed_kind(each_of, entry) for key, entry in value.items()}
        elif one_of := field.metadata.get("one_of"):
            result[name] = _completed_kind(one_of, value)
        elif nested is not None:
            result[name] = completed(nested, value)
    return result


def _completed_kind(one_of: OneOf, recorded: Mapping[str, Any]) -> dict[str, Any]:
    kind = recorded.get(one_of.key, one_of.unnamed)
    if kind not in one_of.kinds:
        return dict(recorded)
    return {one_of.key: kind, **completed(one_of.kinds[kind], one_of.rest(recorded))}


def refused_names(cls: type[Config], path: str = "") -> dict[str, str]:
    """Return the dotted names, at any depth, that a config class refuses, each with its reason."""
    found = {f"{path}{name}": reason for name, reason in cls.refused.items()}
    hints = _hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        one_of, nested = field.metadata.get("one_of"), _config_class(hints[field.name])
        for kind in one_of.kinds.values() if one_of is not None else [nested] if nested is not None else []:
            found |= refused_names(kind, f"{path}{field.name}.")
    return found


def _hints(cls: type) -> Mapping[str, Any]:
    """Return the types of a class's fields: looking them up costs more than all else that reads a record."""
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def _config_class(hint: Any) -> type[Config] | None:
    for candidate in (hint, *typing.get_args(hint)):
        if isinstance(candidate, type) and issubclass(candidate, Config):
            return candidate
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return to_dict(value)
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


_WORDS = {int: "an integer", float: "a number", str: "text", bool: "true or false"}


def _coerce(value: Any, hint: Any, name: str, metadata: Mapping[str, Any]) -> Any:
    """Return `value` as the declared type; integers become floats where floats are declared."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _coerce(value, next(a for a in arguments if a is not type(None)), name, metadata)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{name} must be a list like [a,b], was {value!r}.")
        return tuple(_coerce(v, arguments[0], f"{name}[{i}]", metadata) for i, v in enumerate(value))
    if isinstance(hint, type) and issubclass(hint, Config):
        if not isinstance(value, hint):
            raise ConfigError(f"{name} must be a {hint.__name__}, was {value!r}.")
        return value
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < 1e300 else math.inf  # an integer may be beyond any float
    if type(value) is not hint:
        raise ConfigError(f"{name} must be {_WORDS.get(hint, hint)}, was {value!r}.")
    if hint is float and not math.isfinite(value):
        raise ConfigError(f"{name} must be a finite number, was {value!r}.")
    _check_range(value, name, metadata)
    return value


def _checked_entries(value: Any, each_of: OneOf, name: str) -> Mapping[str, Config]:
    """Return a read-only copy, in order of its names, of a mapping whose entries are of the kinds.

    The order is part of the value and the fingerprint knows none, hence the sorting.
    """
    kinds = each_of.kinds.values()
    if not isinstance(value, Mapping) or any(type(entry) not in kinds for entry in value.values()):
        classes = ", ".join(cls.__name__ for cls in kinds)
        raise ConfigError(f"{name} must map names to {classes}, was {value!r}.")
    return types.MappingProxyType(dict(sorted(value.items())))


def _checked_kind(value: Any, one_of: OneOf, name: str) -> Config:
    if type(value) not in one_of.kinds.values():
        classes = ", ".join(cls.__name__ for cls in one_of.kinds.values())
        raise ConfigError(f"{name} must be one of {classes}, was {value!r}.")
    return value  # type: ignore[no-any-return]


def _check_range(value: Any, name: str, metadata: Mapping[str, Any]) -> None:
    choices = metadata.get("choices")
    if choices is not None and value not in choices:
        valid = ", ".join(map(str, choices))
        raise ConfigError(f"{name} must be one of {valid}, was {value!r}{nearest(str(value), choices)}.")
    bounds = metadata.get("bounds") or {}
    words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    holds = {
        "ge": lambda v, b: v >= b,
        "gt": lambda v, b: v > b,
        "le": lambda v, b: v <= b,
        "lt": lambda v, b: v < b,
    }
    if any(not holds[kind](value, bound) for kind, bound in bounds.items()):
        limits = " and ".join(f"{words[kind]} {bound}" for kind, bound in bounds.items())
        raise ConfigError(f"{name} must be {limits}, was {value!r}.")


def part(config: Config, cls: type[C]) -> C:
    """Return the fields that `config` inherits from `cls` as a configuration of that class alone."""
    return cls(**{name: getattr(config, name) for name in names(cls)})


def replace(config: C, **changes: Any) -> C:
    """Return a checked copy of `config` with some fields changed."""
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]
