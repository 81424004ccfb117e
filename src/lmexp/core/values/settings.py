"""The keys that every pipeline has: where results go, how stages are run, what is mirrored.

A pipeline's own configuration class derives from `RunConfig` and adds its stages' configs.
"""

import dataclasses
import os
from pathlib import Path

from lmexp.core.values.config import Config, build, option
from lmexp.core.values.variables import refuse_own
from lmexp.errors import ConfigError

STORE_VARIABLE = "LMEXP_STORE"


class TrackingConfig(Config):
    """How a run is mirrored to wandb. The local record is complete without it."""

    mode: str = option(default="auto", choices=("auto", "off", "offline", "online"), placement=True)
    """`auto` is what WANDB_MODE or WANDB_DISABLED says; else online where a wandb key is set and offline
    otherwise."""

    project: str | None = option(default=None, placement=True)
    """The wandb project; null means $WANDB_PROJECT, else lmexp."""

    entity: str | None = option(default=None, placement=True)
    """The wandb user or team; null means $WANDB_ENTITY, else the key's own."""

    name: str | None = option(default=None, placement=True)
    """What the run is called; null means $WANDB_NAME, else the experiment with what the run changes of it."""

    tags: tuple[str, ...] = option(default=(), placement=True)
    """Tags beside the experiment's name; none means those of $WANDB_TAGS, which are separated by commas."""

    notes: str | None = option(default=None, placement=True)
    """A text about the run; null means $WANDB_NOTES."""

    group: str | None = option(default=None, placement=True)
    """What the run is grouped by; null means $WANDB_RUN_GROUP, else its sweep or experiment."""

    finish_timeout_s: float = option(default=20.0, ge=0, le=86_400, placement=True)
    """Longest time that a finished run waits for the mirror, in seconds."""


class ExecutorConfig(Config):
    """How stages are run on this machine."""

    threads: int = option(default=1, ge=1, le=4096, placement=True)
    """Threads of one stage, shared among its ranks (at least one each)."""

    stale_after_s: float = option(default=30.0, ge=3, le=86_400, placement=True)
    """A lease whose holder, on another host, has shown no heartbeat for this long is taken over."""

    environment: tuple[str, ...] = option(default=(), placement=True)
    """Names of environment variables that your own stages read; a stage sees no others of yours. No
    result may depend on them: what does is a key of the configuration."""

    stop_grace_s: float = option(default=60.0, ge=0, le=86_400, placement=True)
    """Time that an interrupted stage gets to write its checkpoint, in seconds."""

    def check(self) -> None:
        refuse_own(self.environment)


class RunConfig(Config):
    """What every pipeline's configuration has."""

    pipeline: str = option(default="pretrain", placement=True)
    """Name of a shipped pipeline, or the path of a Python file that defines `pipeline(config)`."""

    extensions: tuple[str, ...] = option(default=(), by_content=True, absent_means=())
    """Python files of your own that add kinds of configurations: a family of models, a tokenizer, an
    objective. They are imported before all else; their code is identity where a kind of theirs is used."""

    store: str = option(default="outputs", placement=True)
    """Directory of all results; made absolute when the configuration is composed."""

    force: tuple[str, ...] = option(default=(), placement=True)
    """Stages that are computed again although their artifacts are published."""

    only: tuple[str, ...] = option(default=(), placement=True)
    """Run these stages, with what they need, and no others; empty means all."""

    tracking: TrackingConfig = option(default=build(TrackingConfig, {}), placement=True)
    """wandb."""

    executor: ExecutorConfig = option(default=build(ExecutorConfig, {}), placement=True)
    """How stages are run."""


ENGINE_KEYS = frozenset(field.name for field in dataclasses.fields(RunConfig))
"""Keys of the configuration on which no result depends: where, how and what of it is run."""


def default_store() -> str:
    """Return the store where none was given: $LMEXP_STORE, or `outputs` here."""
    return os.environ.get(STORE_VARIABLE) or "outputs"


def absolute_store(store: str) -> Path:
    """Return the store's absolute path, with `~` expanded."""
    if not store:
        raise ConfigError("store= names no directory; write store=PATH.")
    return Path(os.path.abspath(Path(store).expanduser()))
