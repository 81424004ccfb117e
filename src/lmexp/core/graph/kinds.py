"""Which keys hold where one configuration is of one of several kinds, and layers choose different ones.

An experiment's keys in such a configuration belong to the kind that it chose. Where the command line
chooses another, that kind's own defaults and group file hold, then the keys that mean the same in all kinds
(`OneOf.shared`) as the experiment has them, then the command line's own. A shared key that the kind lacks
goes to the key beside it that says the same (`OneOf.beside`). What was left behind is named.

A kind may be good for one kind of another configuration alone, as an encoder for hidden tokens: then that is
the kind of the other one where nothing names any (`Config.goes_with`), as if it had been named.
"""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from lmexp.core.values.config import Config
from lmexp.core.values.one_of import OneOf, names


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of a composition, and what Hydra chose by them."""

    given: Sequence[str]
    unchanged: Sequence[str]
    """Of the words, only that which chooses the experiment."""
    choices: Mapping[str, Any]
    """The option of each group."""
    values_of: Callable[[Sequence[str]], Mapping[str, Any]]
    """Composes other words, and returns the values at the configuration's place, as they are written."""


def unions(cls: type[Config], path: str = "") -> Iterator[tuple[str, OneOf]]:
    """Yield the dotted name and the kinds of each configuration that is one of several."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        hint, one_of = hints[field.name], field.metadata["one_of"]
        if one_of is not None:
            yield f"{path}{field.name}", one_of
        elif isinstance(hint, type) and issubclass(hint, Config):
            yield from unions(hint, f"{path}{field.name}.")


def settle(composed: DictConfig, path: str, one_of: OneOf, words: Words | None) -> dict[str, Any]:
    """Leave at `path` the keys that hold for the chosen kind, with that kind's defaults.

    Returns what an experiment had set and what does not hold, by key. Errors: `ConfigError` for an unknown
    kind.
    """
    node = OmegaConf.select(composed, path)
    if not isinstance(node, DictConfig):
        return {}  # the strict builder says what is wrong with it
    values = _raw(node)
    kind, left = one_of.kind_in(values, path), dict[str, Any]()
    if words is not None:
        kind, values, left = _settled(values, path, one_of, words)
        for key in [key for key in left if key in one_of.beside]:
            beside = ".".join((*path.split(".")[:-1], one_of.beside[key]))
            if OmegaConf.select(composed, beside) is None:
                with open_dict(composed):
                    OmegaConf.update(composed, beside, left.pop(key), force_add=True)
    whole = {**_defaults(one_of, kind), **values, one_of.key: kind}
    with open_dict(composed):
        OmegaConf.update(composed, path, whole, merge=False, force_add=True)
    return left


def go_together(composed: DictConfig, cls: type[Config], given: Sequence[str]) -> None:
    """Give what the words `given` name no kind of the one that goes with what was chosen beside it."""
    places = dict(unions(cls))
    for path, one_of in places.items():
        if not isinstance(OmegaConf.select(composed, path), DictConfig):
            continue
        kind = OmegaConf.select(composed, f"{path}.{one_of.key}")
        for name, goes_with in one_of.kinds[kind].goes_with.items():
            place = ".".join((*path.split(".")[:-1], name))
            node, own = OmegaConf.select(composed, place), _given(given, place)
            if place not in places or not isinstance(node, DictConfig):
                continue
            key, usual = places[place].key, _defaults(places[place], places[place].unnamed or goes_with)
            named = place.replace(".", "/") in own.keys or key in own.names
            if named or node[key] != places[place].unnamed:
                continue
            kept = {k: v for k, v in _raw(node).items() if k != key and (k not in usual or usual[k] != v)}
            whole = {**_defaults(places[place], goes_with), **kept, key: goes_with}
            with open_dict(composed):
                OmegaConf.update(composed, place, whole, merge=False, force_add=True)


def _settled(
    values: dict[str, Any], path: str, one_of: OneOf, words: Words
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return the kind, the values that hold for it, and those of the experiment that do not."""
    group = path.replace(".", "/")
    given = _given(words.given, path)
    chooses_group, chooses_kind = group in given.keys, one_of.key in given.names
    kind = one_of.kind_in(values, path)
    if not chooses_group and not chooses_kind and values.get(one_of.key) is None:
        return kind, values, {}  # nothing names a kind: all are of the unnamed one
    choice = words.choices.get(group)
    of_group = words.values_of([f"{group}={choice}"]) if choice else {}
    before = words.values_of(words.unchanged)
    experiments, groups = one_of.kind_in(before, path), one_of.kind_in(of_group, path)
    if chooses_group and not chooses_kind:
        kind = groups
    if kind == experiments == groups:
        return kind, values, {}
    result = dict(of_group) if kind == groups else {}
    if kind == experiments:
        own = words.values_of([*words.unchanged, f"~{group}"]) if choice else before
        result |= {key: before[key] for key in own if key in before}
    else:
        fields = names(one_of.kinds[kind])
        result |= {key: before[key] for key in one_of.shared if key in before and key in fields}
    result |= {key: values[key] for key in given.names if key in values}
    result = {key: value for key, value in result.items() if key not in given.removed}
    if kind == experiments:
        return kind, result, {}
    usual = _defaults(one_of, experiments) | {one_of.key: experiments}
    lost = [k for k in before if k not in given.names | given.removed and result.get(k) != before[k]]
    return kind, result, {key: before[key] for key in lost if usual.get(key) != before[key]}


@dataclasses.dataclass(frozen=True)
class _Given:
    """What words say of the configuration at one place."""

    keys: set[str]
    """The whole keys and groups that are set, of every place."""
    names: set[str]
    """The names within the configuration that are set."""
    removed: set[str]
    """The names within the configuration that are taken away."""


def _given(words: Sequence[str], path: str) -> _Given:
    given = _Given(set(), set(), set())
    for override in OverridesParser.create().parse_overrides(list(words)):
        key, value = override.key_or_group, override.value()
        if key == path and isinstance(value, Mapping):
            given.names.update(map(str, value))
        elif key.startswith(f"{path}."):
            name = key.removeprefix(f"{path}.").partition(".")[0]
            (given.removed if override.is_delete() else given.names).add(name)
        elif not override.is_delete():
            given.keys.add(key)
    return given


def _raw(node: DictConfig) -> dict[str, Any]:
    """Return values as they are written, interpolations too."""
    values = OmegaConf.to_container(node, resolve=False)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _defaults(one_of: OneOf, kind: str) -> dict[str, Any]:
    """Return the defaults of a kind; those that must be given are left out."""
    return {
        field.name: list(field.default) if isinstance(field.default, tuple) else field.default
        for field in dataclasses.fields(one_of.kinds[kind])
        if field.default is not dataclasses.MISSING
    }
