"""Stages and their handles: calling a stage runs nothing.

A stage is one plain function with one frozen config that fills one directory:

    @stage("tokenizer", produces=TokenizerArtifact)
    def train(run: StageRun, config: TokenizerConfig, *, corpus: CorpusArtifact) -> Metrics:
        ...write files into run.out...
        return {"vocab_size": 4096}

Calling it with a config and the handles of its inputs returns an inert `Handle`. A pipeline's
graph is therefore its variables. The types of the keyword inputs are checked when the handle is
made, so that a wrong wire is found before anything runs. Tests call `stage.function` directly.

A user's stage is identified by its code, unless it states a `version`: then that is raised by hand where
results change. lmexp's own stages always state one.
"""

import dataclasses
import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.core.provenance.own import folders, is_own
from lmexp.core.provenance.reach import reached_code
from lmexp.core.store.record import listed_files
from lmexp.core.values.config import Config, identity
from lmexp.core.values.files import FileHasher
from lmexp.core.values.registered import active_files
from lmexp.errors import ConfigError, nearest

Metrics = Mapping[str, float | int]
"""What a stage returns: flat names to numbers."""

ContentOf = Callable[[Any, FileHasher], Mapping[str, str]]
"""From a config to what stands for the external content it points at, by name."""


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A published directory, read through typed methods of its subclasses."""

    path: Path

    def files(self, pattern: str = "*") -> list[Path]:
        """Return the artifact's own files whose names match, in order; whatever else lies there is not it."""
        return listed_files(self.path, pattern)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageRun:
    """What the engine hands to a running stage."""

    out: Path
    """Empty directory to fill; it becomes the artifact."""
    work: Path
    """Private directory; its `checkpoints/` outlives a killed attempt."""
    log: Callable[[Mapping[str, Any]], None]
    """Append one point of a curve: numbers by name, among them `step`."""
    should_stop: Callable[[], bool]
    """Whether the run was asked to stop; a stage that resumes saves and returns early."""
    cache: Path
    """The store's cache: shared by all stages, outlives runs, and may lose anything at any time."""
    content: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Content hashes of the external files that the plan saw."""
    say: Callable[[str], None] = lambda _text: None
    """Tell who watches, in a few words, what is being done before the first point of a curve."""
    note: Callable[[str, str], None] = lambda _name, _choice: None
    """Tell the record what this process chose by itself: what was to be chosen, and what was, with why."""
    rank: int = 0
    world_size: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upstream:
    """What is known of a stage from which another one, directly or not, takes its input."""

    config: Any
    metrics: Metrics | None
    """What it measured; None while it has not run."""


CheckInputs = Callable[[Any, Mapping[str, Upstream]], None]
"""From a config and all stages above, by stage name: raises `DataError` where it cannot succeed on them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Stage:
    """A registered stage; call it to get a handle."""

    name: str
    version: int | None
    """Raised by hand where results change; None where the user's own code is identity instead."""
    function: Callable[..., Metrics]
    config_class: type[Config]
    inputs: Mapping[str, type[Artifact]]
    """Kinds of artifact that it takes, by name."""
    optional: frozenset[str]
    """Names of those that may be left out."""
    produces: type[Artifact]
    content: ContentOf | None
    """Names and hashes of external files that the config points at; None where there are none."""
    ranks: Callable[[Any], int]
    """Number of processes that a config asks for."""
    resumes: bool
    """Whether a killed or stopped run of it continues from `work/checkpoints`."""
    total_steps: Callable[[Any], int] | None
    """Last `step` of the curve, for the time left; None where a stage has no curve."""
    label: Callable[[Any], str]
    """A short name for people, from the config."""
    check_machine: Callable[[Any], None]
    """Raises `ConfigError` or `DataError` where this machine lacks what a config asks for, or its files
    cannot be used; called before a run begins."""
    hints: Callable[[Any], Sequence[str]]
    """Sentences on what a config may not have meant; printed with the plan of a stage that is to run."""
    check_inputs: CheckInputs | None
    """Says early what the stages above show; called before the first stage runs and after each."""

    def __call__(self, config: Config, **inputs: "Handle") -> "Handle":
        if not isinstance(config, self.config_class):
            raise TypeError(f"stage {self.name} takes a {self.config_class.__name__}, was given {config!r}.")
        for name in inputs:
            if name not in self.inputs:
                raise TypeError(f"stage {self.name} has no input {name!r}{nearest(name, self.inputs)}.")
        for name, kind in self.inputs.items():
            if name not in inputs and name in self.optional:
                continue
            if name not in inputs:
                raise TypeError(f"stage {self.name} needs the input {name!r}, a {kind.__name__}.")
            given = inputs[name]
            if not isinstance(given, Handle) or not issubclass(given.stage.produces, kind):
                what = given.stage.produces.__name__ if isinstance(given, Handle) else repr(given)
                raise TypeError(f"input {name!r} of stage {self.name} must be a {kind.__name__}, was {what}.")
        return Handle(stage=self, config=config, inputs=dict(inputs), extensions=active_files())

    @property
    def provider(self) -> dict[str, Any]:
        """Where a child process finds this stage: a module, or a user's file, and folders to search."""
        module = sys.modules[self.function.__module__]
        if module.__name__.startswith(USER_MODULE_PREFIX):
            return {"file": str(module.__file__), "folders": folders()}
        return {"module": module.__name__, "folders": folders()}

    @property
    def is_shipped(self) -> bool:
        """Whether it is one of lmexp's own."""
        return self.function.__module__.partition(".")[0] == "lmexp"

    def code(self) -> list[str] | None:
        """Return what stands for the user's own code that it reaches; None where a version does.

        Errors: `ConfigError` for code that is in no file of the user's.
        """
        if self.version is not None:
            return None
        seeds = []
        parts: list[Any] = [self.function, self.config_class, *self.inputs.values()]
        for part in parts:
            file = getattr(sys.modules.get(part.__module__), "__file__", None)
            if is_own(file):
                seeds.append((part.__module__, Path(str(file)), part.__qualname__))
        if not seeds or seeds[0][2] != self.function.__qualname__:
            raise ConfigError(
                f"the stage {self.name} states no version, and its code is no file of your own that could "
                f"stand for it: write @stage({self.name!r}, version=1, ...)."
            )
        return reached_code(seeds)


USER_MODULE_PREFIX = "lmexp_user_"
"""Prefix of the module names under which users' pipeline files are loaded."""


@dataclasses.dataclass(frozen=True, eq=False)
class Handle:
    """The inert result of calling a stage: what will be computed, not yet computed."""

    stage: Stage
    config: Config
    inputs: Mapping[str, "Handle"]
    extensions: tuple[Path, ...] = ()
    """The user's files that were active when it was made; its process imports them."""

    @property
    def label(self) -> str:
        """The stage's label for this config, safe as a directory name."""
        return (
            re.sub(r"[^A-Za-z0-9_.]+", "-", self.stage.label(self.config)).strip("-.")[:60] or self.stage.name
        )

    @property
    def num_ranks(self) -> int:
        """Processes that this stage runs in."""
        return self.stage.ranks(self.config)

    def identity(self) -> dict[str, Any]:
        """The part of the config that is hashed."""
        return identity(self.config)


_REGISTRY: dict[str, Stage] = {}


def stage(
    name: str,
    *,
    version: int | None = None,
    produces: type[Artifact],
    content: ContentOf | None = None,
    ranks: Callable[[Any], int] = lambda _config: 1,
    resumes: bool = False,
    total_steps: Callable[[Any], int] | None = None,
    label: Callable[[Any], str] | None = None,
    check_machine: Callable[[Any], None] = lambda _config: None,
    hints: Callable[[Any], Sequence[str]] = lambda _config: (),
    check_inputs: CheckInputs | None = None,
) -> Callable[[Callable[..., Metrics]], Stage]:
    """Register a function as a stage under `name`; see the module's docstring."""

    def decorate(function: Callable[..., Metrics]) -> Stage:
        types = typing.get_type_hints(function)
        parameters = list(inspect.signature(function).parameters.values())
        positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        keyword = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
        if len(positional) != 2:
            raise TypeError(f"stage {name} must take (run, config, *, inputs...), has {len(positional)}.")
        registered = Stage(
            name=name,
            version=version,
            function=function,
            config_class=types[positional[1].name],
            inputs={p.name: _artifact_class(types[p.name]) for p in keyword},
            optional=frozenset(p.name for p in keyword if p.default is None),
            produces=produces,
            content=content,
            ranks=ranks,
            resumes=resumes,
            total_steps=total_steps,
            label=label or (lambda _config: name),
            check_machine=check_machine,
            hints=hints,
            check_inputs=check_inputs,
        )
        assert version is not None or not registered.is_shipped, f"lmexp's own stage {name} states no version"
        known = _REGISTRY.get(name)
        if known is not None and _origin(known.function) != _origin(function):
            raise ConfigError(
                f"the stage name {name!r} is already taken by {_origin(known.function)}; "
                f"choose another in {_origin(function)}."
            )
        _REGISTRY[name] = registered
        return registered

    return decorate


def registered_stage(name: str) -> Stage:
    """Return the stage registered under `name`.

    Errors: `ConfigError` with the nearest registered name.
    """
    if name not in _REGISTRY:
        raise ConfigError(f"{name!r} is not a registered stage{nearest(name, _REGISTRY)}.")
    return _REGISTRY[name]


def _artifact_class(hint: Any) -> type[Artifact]:
    """Return the class of an input that is annotated as one, or as one or None."""
    kinds = [kind for kind in typing.get_args(hint) or (hint,) if kind is not type(None)]
    assert len(kinds) == 1, f"an input is of one kind of artifact, or that and None, was {hint}"
    return typing.cast("type[Artifact]", kinds[0])


def _origin(function: Callable[..., Any]) -> str:
    return f"{inspect.getsourcefile(function)}:{function.__qualname__}"
