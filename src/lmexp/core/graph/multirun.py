"""What one command line runs, one point or a sweep of several, as Hydra itself will decide it.

A sweep may be asked for by ``-m``, by ``hydra.mode=MULTIRUN`` or by an experiment file, and what is swept may
stand in the file's ``hydra.sweeper.params``. All of it is known before the first point runs: every point is
composed and checked, and a sweeper or a launcher that lmexp cannot answer for is refused.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lmexp.core.graph.compose import Composition, Origin, compose_with
from lmexp.core.graph.composing_errors import translated_errors
from lmexp.core.values.config import to_dict
from lmexp.core.values.fingerprint import digest
from lmexp.errors import ConfigError

_BASIC = {
    "launcher": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "sweeper": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
}
_INSTEAD = {
    "launcher": "points run one after the other; give the same command in several terminals to share them",
    "sweeper": "give the values to try, key=1,2,4",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedSweep:
    """A sweep whose points have been checked, each a list of overrides, in Hydra's order."""

    group: str
    store: Path
    points: tuple[tuple[str, ...], ...]
    single: tuple[str, ...]
    """What a point's own command needs besides its overrides to be one point."""


def planned_sweep(hydra: Hydra, origin: Origin, *, multirun: bool | None) -> PlannedSweep | None:
    """Return the sweep that the words ask for, None where they ask for one point.

    `multirun` is what a flag says, None where there is none and the configuration decides. The group's name
    comes from the points themselves: the same sweep, given again, is the same group.

    Errors: `ConfigError` for a point that does not compose, before any has run.
    """
    _refuse_words(origin.overrides)
    config = hydra.compose_config(
        config_name=origin.config_name,
        overrides=list(origin.overrides),
        run_mode=RunMode.MULTIRUN,
        with_log_configuration=False,
        validate_sweep_overrides=False,
    )
    for kind in _BASIC:
        _refuse_other(kind, config)
    if not (config.hydra.mode == RunMode.MULTIRUN if multirun is None else multirun):
        return None
    points = expand([*_params(config), *config.hydra.overrides.task])
    composed = [compose_with(hydra, dataclasses.replace(origin, overrides=tuple(p))) for p in points]
    stores = list(dict.fromkeys(point.store for point in composed))
    if len(stores) > 1:
        raise ConfigError("store has several values: all points of a sweep are in one store.")
    return PlannedSweep(
        group=_group(composed),
        store=stores[0],
        points=tuple(map(tuple, points)),
        single=("hydra.mode=RUN",) if config.hydra.mode == RunMode.MULTIRUN else (),
    )


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Return the points of a sweep, each a list of overrides, in Hydra's order."""
    with translated_errors():
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        return [list(p) for batch in BasicSweeper.split_arguments(parsed, None) for p in batch]


def _params(config: DictConfig) -> list[str]:
    """Return what a configuration file sweeps, as the basic sweeper reads it."""
    found = OmegaConf.select(config, "hydra.sweeper.params")
    return [f"{key}={value}" for key, value in (found or {}).items()]


def _refuse_words(overrides: Sequence[str]) -> None:
    """Refuse on the command line, whether or not its plugin is installed here."""
    for word in overrides:
        group, _, name = word.lstrip("+").partition("=")
        kind = group.removeprefix("hydra/")
        if group.startswith("hydra/") and kind in _BASIC and name != "basic":
            raise _refusal(kind, name)


def _refuse_other(kind: str, config: DictConfig) -> None:
    target = OmegaConf.select(config, f"hydra.{kind}._target_")
    if target != _BASIC[kind]:
        raise _refusal(kind, config.hydra.runtime.choices.get(f"hydra/{kind}") or str(target))


def _refusal(kind: str, name: str) -> ConfigError:
    return ConfigError(f"hydra/{kind}={name} is not supported: {_INSTEAD[kind]}.")


def _group(points: Sequence[Composition]) -> str:
    engine = {"store", "extensions", "tracking", "executor", "force", "only"}
    configs: list[dict[str, Any]] = [
        {k: v for k, v in to_dict(point.config).items() if k not in engine} for point in points
    ]
    name = points[0].experiment.replace("/", "-")  # an experiment in a folder of its own: course/week1
    return f"{name}-sweep-{digest(configs)[:8]}"
