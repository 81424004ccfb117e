"""Where on a wandb server a run belongs, and what it is called there.

The configuration says so where it speaks; where it is silent (null, no tags, mode `auto`), wandb's own
environment keeps its meaning: ``WANDB_MODE``, ``WANDB_DISABLED``, ``WANDB_PROJECT``, ``WANDB_ENTITY``,
``WANDB_NAME``, ``WANDB_TAGS``, ``WANDB_NOTES``, ``WANDB_RUN_GROUP`` and ``WANDB_RUN_ID``; where that is
silent too, the experiment. What was resolved as a run began is part of its record: `lmexp sync` sends it
there from any other shell.

``WANDB_RUN_ID`` names one run: the points of a sweep, and another run of the store, keep ids of their own,
since two curves never mix.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lmexp.core.values.config import build
from lmexp.core.values.redact import redact, redact_values
from lmexp.core.values.settings import TrackingConfig
from lmexp.errors import ConfigError, nearest

PROJECT = "lmexp"
"""The project where nobody names one."""

_MODES = {
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "off",
}
"""What the values of WANDB_MODE ask for."""

_NO = ("", "0", "false", "f", "no", "n", "off")
_NO_ID = re.compile(r"[/\\#?%:\s]|^$")
_LONGEST_TAG = 64
_LONGEST_NAME = 128
_LONGEST_VALUE = 40


def resolve_mode(mode: str, environment: Mapping[str, str]) -> str:
    """Return off, offline or online, or auto where neither the configuration nor wandb's environment says.

    Errors: `ConfigError` for a WANDB_MODE that wandb does not know.
    """
    if mode != "auto":
        return mode
    if _is_disabled(environment):
        return "off"
    asked = environment.get("WANDB_MODE", "").strip().lower()
    if asked and asked not in _MODES:
        raise ConfigError(
            f"WANDB_MODE must be one of {', '.join(_MODES)}, was {asked!r}{nearest(asked, _MODES)}; or set "
            "tracking.mode."
        )
    return _MODES.get(asked, "auto")


def refuse_offline(environment: Mapping[str, str]) -> None:
    """Raise `ConfigError` where wandb's environment says that no server is to be contacted."""
    if resolve_mode("auto", environment) in ("off", "offline"):
        name = "WANDB_DISABLED" if _is_disabled(environment) else "WANDB_MODE"
        raise ConfigError(f"{name}={environment[name]} says that no server is contacted; unset it to upload.")


def destination(
    config: TrackingConfig,
    *,
    run: str,
    experiment: str,
    group: str,
    changes: Mapping[str, Any] | None = None,
    taken: Iterable[str] = (),
    is_point: bool = False,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return `mode`, `entity`, `project`, `group`, `id`, `name`, `tags` and `notes` of a run at wandb.

    `taken` are the ids of other runs; `is_point` says whether the run is one of a sweep's. `environment`
    is this process's where none is given.

    Errors: `ConfigError` for a value of the environment that wandb could not take.
    """
    given = os.environ if environment is None else environment

    def silent(value: str | None, name: str) -> str | None:
        return value if value is not None else redact(given.get(name, "")) or None

    tags = config.tags or [tag.strip() for tag in redact(given.get("WANDB_TAGS", "")).split(",")]
    return {
        "mode": resolve_mode(config.mode, given),
        "entity": silent(config.entity, "WANDB_ENTITY"),
        "project": silent(config.project, "WANDB_PROJECT") or PROJECT,
        "group": silent(config.group, "WANDB_RUN_GROUP") or group,
        "id": run if is_point else _id(given.get("WANDB_RUN_ID", ""), run, taken),
        "name": (silent(config.name, "WANDB_NAME") or display_name(run, experiment, changes))[:_LONGEST_NAME],
        "tags": list(dict.fromkeys(tag[:_LONGEST_TAG] for tag in (experiment, *tags) if tag)),
        "notes": silent(config.notes, "WANDB_NOTES"),
    }


def destination_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a recorded run belongs, from its `run.json`; an older record is resolved now."""
    recorded = data.get("tracking")
    if isinstance(recorded, Mapping):
        return dict(recorded)
    config = build(TrackingConfig, data["config"]["tracking"])
    return destination(
        config, run=str(data["run"]), experiment=str(data["experiment"]), group=str(data["group"])
    )


def recording_id(data: Mapping[str, Any]) -> str:
    """Return the id that a run has at wandb, from its `run.json`: a curve computed anew has another."""
    return str(destination_of(data)["id"]) + _number(data)


def recording_name(data: Mapping[str, Any]) -> str:
    """Return the name that a run is shown by at wandb, from its `run.json`."""
    return str(destination_of(data)["name"]) + _number(data)


def _is_disabled(environment: Mapping[str, str]) -> bool:
    return environment.get("WANDB_DISABLED", "").strip().lower() not in _NO


def _number(data: Mapping[str, Any]) -> str:
    number = int(data.get("recording", 1))
    return f"-{number}" if number > 1 else ""


def display_name(run: str, experiment: str, changes: Mapping[str, Any] | None) -> str:
    """Return the experiment's name with what this run changes of it, as ``tiny lr=0.01 seed=2``."""
    if not changes:
        return run
    words = [experiment]
    for key, (_, value) in redact_values(changes).items():
        text = " ".join(str(value).split())
        shown = text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
        words.append(f"{key.rpartition('.')[2]}={shown}")
    return " ".join(words)


def _id(wanted: str, run: str, taken: Iterable[str]) -> str:
    if not wanted:
        return run
    if _NO_ID.search(wanted) or len(wanted) > _LONGEST_NAME:
        raise ConfigError(
            f"WANDB_RUN_ID must be a short word without / \\ # ? % : and spaces, was {wanted!r}."
        )
    return f"{wanted}-{run.rpartition('-')[2]}" if wanted in set(taken) else wanted
