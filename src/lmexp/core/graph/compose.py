"""From overrides to a checked configuration and its pipeline's handles.

Hydra composes plain YAML; then the pipeline's frozen config class is built from it strictly, so that
a misspelt key or a bad value fails before any work, wherever it came from: the command line, an
experiment file or a `++` key. The class also seeds the composition: its fields with their defaults
are the first entry of the defaults list, so that each key exists once and can be overridden without
a `+`. Every message is one sentence with the nearest valid name.

Shipped configs and pipelines are found beside the package (`_conf`, `_pipelines` of a wheel) or at
the root of the checkout; `conf/` and `pipelines/` of the current directory are found beside them, by
names that are not shipped (see `core.reserved`).
"""

import contextlib
import dataclasses
import functools
import re
import threading
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lmexp.core.graph.composing_errors import KEYS, OWN, REFUSED, ROOTS, translated_errors
from lmexp.core.graph.extensions import activate_given, refuse_name_of_extension
from lmexp.core.graph.extensions import signature as extensions_signature
from lmexp.core.graph.kinds import Words, go_together, settle, unions
from lmexp.core.graph.loading import config_class, load_file
from lmexp.core.graph.plan import differences
from lmexp.core.graph.removed import refuse_removed
from lmexp.core.graph.reserved import colliding_configs, find_pipeline, refuse_collision
from lmexp.core.graph.stage import Handle
from lmexp.core.graph.yaml_files import check_yaml_files, yaml_files
from lmexp.core.provenance.calling import run_words
from lmexp.core.provenance.own import shipped
from lmexp.core.values.config import Config, build, dotted_names, refused_names
from lmexp.core.values.redact import refuse_secrets
from lmexp.core.values.settings import ENGINE_KEYS, RunConfig, absolute_store, default_store
from lmexp.errors import ConfigError, LmexpError

CONFIG_NAME = "config"
VARIABLES = "vars"
"""A node of an experiment's own variables, for interpolations; no part of any result's identity."""
_ONE_AT_A_TIME = threading.RLock()
"""Hydra keeps the composition that goes on in a global."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """The words that a configuration was composed from."""

    overrides: tuple[str, ...]
    config_name: str = CONFIG_NAME
    config_dir: str | None = None

    @property
    def command(self) -> list[str]:
        """The command that composes and runs it again."""
        flags = ["--config-dir", self.config_dir] if self.config_dir else []
        flags += ["--config-name", self.config_name] if self.config_name != CONFIG_NAME else []
        return [*run_words(), *flags, *self.overrides]

    @property
    def unchanged(self) -> "Origin":
        """The same experiment as it is written: of the overrides, only the one that chooses it.

        And the extensions, without which it may not compose.
        """
        chosen = tuple(o for o in self.overrides if _group_of(o) in {"experiment", "extensions"})
        return dataclasses.replace(self, overrides=chosen)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composition:
    """A checked configuration with the handles of its pipeline."""

    experiment: str
    config: RunConfig
    handles: Mapping[str, Handle]
    values: Mapping[str, Any]
    """The configuration as it was composed, before it was checked."""
    left_behind: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the experiment sets and what does not hold, since another kind of configuration was chosen."""
    origin: Origin | None = None
    """None where no words were composed."""

    @property
    def store(self) -> Path:
        """The store's absolute path."""
        return Path(self.config.store)

    def changes(self) -> dict[str, list[Any]] | None:
        """Return [the experiment's value, this one] of each key that the overrides changed.

        Keys of the engine, on which no result depends, are left out. None where it cannot be known: no
        words were composed, or the experiment alone does not compose.
        """
        if self.origin is None:
            return None
        if all(_group_of(o) in ENGINE_KEYS | {"experiment"} for o in self.origin.overrides):
            return {}
        try:
            before = _unchanged_values(self.origin.unchanged, _signature(self.origin.config_dir))
        except LmexpError:
            return None
        found = differences(before, self.values)
        return {key: [old, new] for key, old, new in found if _group_of(key) not in ENGINE_KEYS}


def own_config_dir(given: str | None) -> str | None:
    """Return the user's config directory: the given one, or `conf/` of the current directory.

    Errors: `ConfigError` for one that is not there.
    """
    if given is not None:
        if not Path(given).is_dir():
            raise ConfigError(f"--config-dir {given}: there is no directory {Path(given).absolute()}.")
        return str(Path(given).absolute())
    own = Path.cwd() / "conf"
    return str(own) if own.is_dir() and own.resolve() != shipped("conf").resolve() else None


def register_schemas(config_name: str = CONFIG_NAME, own: str | None = None) -> None:
    """Give Hydra the keys and defaults of the engine and of each shipped pipeline.

    Of a user's pipelines, those whose `<pipeline>_schema` the primary configuration in the
    directory `own` names.
    """
    if own is not None:
        check_yaml_files(Path(own))
    ROOTS[:] = [shipped("conf"), *([Path(own)] if own else [])]
    _register("engine", RunConfig)
    for path in sorted(shipped("pipelines").glob("*.py")):
        _register(path.stem, config_class(path))
    primary = Path(own or ".") / f"{config_name.removesuffix('.yaml')}.yaml"
    if own is None or not primary.is_file():
        return
    for name in re.findall(r"^\s*-\s*(\w+)_schema\s*$", primary.read_text("utf-8", "replace"), re.MULTILINE):
        if name != "engine" and not (shipped("pipelines") / f"{name}.py").exists():
            _register(name, config_class(find_pipeline(name)))


def _register(name: str, cls: type[Config]) -> None:
    ConfigStore.instance().store(name=f"{name}_schema", node=_defaults(cls))
    _know_keys(cls)


def _know_keys(cls: type[Config]) -> None:
    """Have the names of a pipeline's keys for what is said of words that do not compose."""
    REFUSED.update(refused_names(cls))
    KEYS.update(dict.fromkeys(dotted_names(cls)))


def compose(
    overrides: Sequence[str], *, config_name: str = CONFIG_NAME, config_dir: str | None = None
) -> Composition:
    """Compose one experiment from overrides.

    Errors: `ConfigError` or `DataError`, one sentence.
    """
    origin = Origin(overrides=tuple(overrides), config_name=config_name, config_dir=config_dir)
    with hydra_of(origin) as hydra:
        return compose_with(hydra, origin)


def compose_with(hydra: Hydra, origin: Origin) -> Composition:
    """Compose and check an origin's words by a Hydra that was made for its configurations."""
    composed = _composed(hydra, origin)
    return check(composed, dict(composed.hydra.runtime.choices), origin)


@contextlib.contextmanager
def hydra_of(origin: Origin) -> Iterator[Hydra]:
    """Give the Hydra that knows an origin's configurations; its errors become `ConfigError`."""
    own = own_config_dir(origin.config_dir)
    register_schemas(origin.config_name, own)
    version.setbase("1.3")
    search_path = create_config_search_path(str(shipped("conf")))
    if own is not None:
        search_path.prepend("command-line", f"file://{own}", SearchPathQuery(provider="schema"))
    with _ONE_AT_A_TIME, translated_errors():
        before = get_gh_backup()  # a notebook may use Hydra for itself
        GlobalHydra.instance().clear()
        try:
            hydra = Hydra.create_main_hydra2(task_name="lmexp", config_search_path=search_path)
            _refuse_collisions(hydra, origin)
            yield hydra
        finally:
            restore_gh_from_backup(before)


def _refuse_collisions(hydra: Hydra, origin: Origin) -> None:
    """Raise `ConfigError` for a file of the user's that the words use and that has a shipped one's name."""
    own = own_config_dir(origin.config_dir)
    collisions = {} if own is None else colliding_configs(Path(own))
    if not collisions:
        return
    with contextlib.suppress(HydraException):  # the composition itself says what is wrong with the words
        entries = hydra.config_loader.compute_defaults_list(
            config_name=origin.config_name, overrides=list(origin.overrides), run_mode=RunMode.RUN
        ).defaults
        for entry in entries:
            place = str(entry.config_path).removesuffix(".yaml")
            if place in collisions:
                refuse_collision(place, collisions[place])


def _composed(hydra: Hydra, origin: Origin) -> DictConfig:
    _refuse_collisions(hydra, origin)
    return hydra.compose_config(
        config_name=origin.config_name,
        overrides=list(origin.overrides),
        run_mode=RunMode.RUN,
        from_shell=False,
        with_log_configuration=False,
    )


def check(composed: DictConfig, choices: Mapping[str, Any], origin: Origin | None = None) -> Composition:
    """Build the pipeline's config class from what Hydra composed, and its handles."""
    values, left_behind = _values(composed, choices, origin)
    if "experiment" in values:
        name = choices.get("experiment")
        raise ConfigError(f"the experiment file {name}.yaml must begin with the line '# @package _global_'.")
    config, handles = _build(values)
    removed = (
        [o.lstrip("~").partition("=")[0].partition("@")[0] for o in origin.overrides if o[:1] == "~"]
        if origin
        else []
    )
    refuse_removed([*removed, *(str(k) for k, v in choices.items() if v is None)], type(config), handles)
    experiment = str(choices.get("experiment") or Path(config.pipeline).stem)
    return Composition(
        experiment=experiment,
        config=config,
        handles=handles,
        values=values,
        left_behind=left_behind,
        origin=origin,
    )


@functools.lru_cache(maxsize=8)
def _unchanged_values(origin: Origin, _files: tuple[Any, ...]) -> dict[str, Any]:
    """Return what an experiment composes to as it is written: once for all points of a sweep."""
    with hydra_of(origin) as hydra:
        composed = _composed(hydra, origin)
    return _values(composed, dict(composed.hydra.runtime.choices), origin)[0]


@functools.lru_cache(maxsize=64)
def _raw_values(origin: Origin, path: str, _files: tuple[Any, ...]) -> dict[str, Any]:
    """Return what words compose to at one place, interpolations left as they are; nothing where it is not."""
    with hydra_of(origin) as hydra:
        node = OmegaConf.select(_composed(hydra, origin), path)
    values = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else {}
    return typing.cast(dict[str, Any], values)


def _signature(config_dir: str | None) -> tuple[Any, ...]:
    """Return what changes when a configuration file does."""
    own = own_config_dir(config_dir)
    roots = [shipped("conf"), *([Path(own)] if own else [])]
    found = (file for root in roots for file in yaml_files(root))
    files = tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in found)
    return (*files, *extensions_signature())


def _values(
    composed: DictConfig, choices: Mapping[str, Any], origin: Origin | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was composed, resolved and without Hydra's own keys; and what was left behind."""
    left: dict[str, Any] = {}
    with translated_errors():
        masked = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        given = {key: masked.get(key) for key in ("extensions", "pipeline") if key in masked}
        cls = config_class(_pipeline_of(given))
        if given.get("extensions"):
            _know_keys(cls)
        for path, one_of in unions(cls):
            words = None if origin is None else _words(origin, path, choices)
            left |= {f"{path}.{k}": v for k, v in settle(masked, path, one_of, words).items()}
        if origin is not None:
            go_together(masked, cls, origin.overrides)
        values = OmegaConf.to_container(masked, resolve=True)
    assert isinstance(values, dict), "the primary configuration is a mapping"
    values.pop(VARIABLES, None)  # they have been put where they are used
    return typing.cast(dict[str, Any], values), left


def _words(origin: Origin, path: str, choices: Mapping[str, Any]) -> Words:
    """Return the words of an origin, which can be asked what others would compose to at `path`."""

    def values_of(words: Sequence[str]) -> Mapping[str, Any]:
        other = dataclasses.replace(origin, overrides=tuple(words))
        return _raw_values(other, path, _signature(origin.config_dir))

    return Words(origin.overrides, origin.unchanged.overrides, choices, values_of)


def _group_of(override: str) -> str:
    """Return the first part of the key that an override or a dotted key names."""
    return override.lstrip("+~").partition("=")[0].partition(".")[0].partition("@")[0]


def composition_of(values: Mapping[str, Any], *, experiment: str) -> Composition:
    """Return the composition of plain values, without Hydra; a key that is left out has its default."""
    config, handles = _build(values)
    return Composition(experiment=experiment, config=config, handles=handles, values=values)


def handles_of(values: Mapping[str, Any]) -> Mapping[str, Handle]:
    """Return the handles for a recorded configuration."""
    return _build(values)[1]


def _build(values: Mapping[str, Any]) -> tuple[RunConfig, Mapping[str, Handle]]:
    pipeline = _pipeline_of(values)
    cls = config_class(pipeline)
    try:
        config = build(cls, values)
    except ConfigError as error:
        if str(error).endswith(" is not a known key.") and "." not in str(error).partition(" ")[0]:
            raise ConfigError(f"{str(error).removesuffix('.')}{OWN}.") from None
        raise
    refuse_secrets(values)
    name = str(pipeline) if config.pipeline.endswith(".py") else config.pipeline
    store = str(absolute_store(config.store))
    config = dataclasses.replace(_absolute_paths(config), store=store, pipeline=name)
    try:
        return config, load_file(pipeline).pipeline(config)
    except LmexpError:
        raise
    except Exception as error:
        raise ConfigError(f"{pipeline} cannot build its graph: {type(error).__name__}: {error}") from error


def _pipeline_of(values: Mapping[str, Any]) -> Path:
    """Return the file of the pipeline that values name, with their extensions active."""
    activate_given(values)
    pipeline = find_pipeline(str(values.get("pipeline", "pretrain")))
    refuse_name_of_extension(pipeline)
    return pipeline


def _defaults(cls: type[Config]) -> dict[str, Any]:
    """Return every key of a config class with its default, `???` where it must be given."""
    result: dict[str, Any] = {}
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        hint = hints[field.name]
        if field.metadata["one_of"] is not None or field.metadata["each_of"] is not None:
            result[field.name] = DictConfig({}, flags={"struct": False})  # its keys depend on kinds
        elif isinstance(hint, type) and issubclass(hint, Config):
            result[field.name] = _defaults(hint)
        elif field.default is dataclasses.MISSING:
            result[field.name] = "???"
        else:
            result[field.name] = list(field.default) if isinstance(field.default, tuple) else field.default
    if issubclass(cls, RunConfig):
        result["store"] = default_store()
        result[VARIABLES] = DictConfig({}, flags={"struct": False})
    return result


def _absolute_paths(config: typing.Any) -> typing.Any:
    """Return a copy in which every path that is read by content is absolute."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Config):
            changes[field.name] = _absolute_paths(value)
        elif field.metadata["each_of"] is not None:
            changes[field.name] = {name: _absolute_paths(entry) for name, entry in value.items()}
        elif field.metadata.get("by_content"):
            one = isinstance(value, str)
            paths = [str(Path(p).expanduser().absolute()) for p in ([value] if one else value or ())]
            changes[field.name] = paths[0] if one else (value if value is None else tuple(paths))
    return dataclasses.replace(config, **changes)
