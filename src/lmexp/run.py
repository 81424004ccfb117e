"""``python -m lmexp.run +experiment=small_gpt``: compose, plan, execute, summarise.

Hydra owns the command line, sweeps included (``-m``). Every point of a sweep is composed and checked
before the first stage runs. Exit codes: 0 done, 2 the user's input, 1 a failure, 75 interrupted and
resumable by the same command.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hydra.version
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lmexp.analysis.report import PAGE, report_at_end, sweep_report_at_end
from lmexp.core import compose
from lmexp.core.arguments import in_one_sentence
from lmexp.core.calling import run_words
from lmexp.core.compose import CONFIG_NAME, Composition, Origin
from lmexp.core.config import to_dict
from lmexp.core.entry import command_line, expected
from lmexp.core.fingerprint import digest
from lmexp.core.own import shipped
from lmexp.core.runs import Run
from lmexp.core.session import run_composition
from lmexp.core.spelling import command
from lmexp.core.store import Store
from lmexp.core.sweeps import note_point, note_sweep
from lmexp.core.terminal import printable
from lmexp.errors import ConfigError, Diverged, Interrupted, LmexpError, VerificationError
from lmexp.summary import summary

_INFORMATION = ("hydra_help", "version", "cfg", "info", "shell_completion")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return command_line(_main, argv)


def _main(arguments: list[str]) -> int:
    parser = in_one_sentence(get_args_parser())
    runner = _Runner(arguments)
    try:
        options = parser.parse_intermixed_args(arguments)
    except ConfigError as error:
        return runner.report(error)
    except SystemExit:  # it has printed what it was asked for
        return 0
    if options.help or not arguments:
        print(_help(options.config_dir))
        return 0
    try:
        _run_points(options, parser, runner)
    except SystemExit as stop:
        runner.exit_code = stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        runner.report(Interrupted("stopped; the same command goes on from there."))
    except BrokenPipeError:
        raise  # nobody reads what was printed
    except Exception as error:
        runner.report(expected(error))
    runner.end_sweep()
    return runner.exit_code


def _run_points(options: argparse.Namespace, parser: argparse.ArgumentParser, runner: "_Runner") -> None:
    """Let Hydra compose and run the one point, or every point of a sweep."""
    config_name = options.config_name or CONFIG_NAME
    own = compose.own_config_dir(options.config_dir)
    compose.register_schemas(config_name, own)
    if options.experimental_rerun is not None:
        raise ConfigError("--experimental-rerun is not accepted: give the same command again to resume.")
    if options.config_path is not None:
        raise ConfigError("--config-path is not accepted: add your configs with --config-dir DIR.")
    runner.config_dir = options.config_dir
    if options.multirun and not any(getattr(options, name, None) for name in _INFORMATION):
        runner.group, runner.num_points = _check_sweep(options.overrides, options.config_dir, config_name)
        runner.sweep_command = Origin(
            overrides=("-m", *options.overrides),
            config_name=config_name,
            config_dir=options.config_dir,
        ).command
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come here instead of being printed
    options.config_dir = own
    hydra.version.setbase("1.3")
    with tempfile.TemporaryDirectory() as scratch, compose.translated_errors():
        if options.multirun:  # Hydra writes a file of its own about each sweep
            options.overrides = [*options.overrides, f"hydra.sweep.dir={scratch}"]
        _run_hydra(
            args=options,
            args_parser=parser,
            task_function=runner.run_point,
            config_path=str(shipped("conf")),
            config_name=CONFIG_NAME,
        )


def _help(config_dir: str | None) -> str:
    """Return how to use the command, with every config group; composes nothing, to answer at once."""
    own = compose.own_config_dir(config_dir)
    groups: dict[str, set[str]] = {}
    for root in [shipped("conf"), *([Path(own)] if own else [])]:
        for path in root.glob("*/*.yaml"):
            groups.setdefault(path.parent.name, set()).add(path.stem)
    added = ("experiment", "debug")
    lines = [
        f"  {'+' if name in added else ''}{name}={'|'.join(sorted(options))}"
        for name, options in sorted(groups.items(), key=lambda item: (item[0] not in added, item[0]))
    ]
    return "\n".join(
        [
            "usage: python -m lmexp.run [-m] [--config-dir DIR] [--config-name N] +experiment=E [key=value]",
            "",
            "Runs an experiment; given again, it reuses what is there and resumes what was stopped.",
            "With -m, values separated by commas are swept: model.num_layers=1,2,4 seed=1,2",
            "",
            "groups:",
            *lines,
            "",
            "every key with its value:   python -m lmexp.run +experiment=NAME --cfg job",
            "what a run would do:        lmexp plan +experiment=NAME [key=value ...]",
            "Hydra's own options:        python -m lmexp.run --hydra-help",
        ]
    )


def _check_sweep(
    overrides: Sequence[str], config_dir: str | None, config_name: str
) -> tuple[str, int | None]:
    """Compose every point of a sweep, so that a mistake in the last shows first; return group and size.

    The group's name comes from the points themselves: the same sweep, re-issued, is the same group.
    A sweeper other than Hydra's basic one chooses its points as it goes: nothing is checked ahead.
    """
    if any(o.startswith("hydra/sweeper") for o in overrides):
        return f"sweep-{digest(sorted(overrides))[:8]}", None
    points = [
        compose.compose(point, config_name=config_name, config_dir=config_dir)
        for point in compose.expand([o for o in overrides if not o.startswith("hydra")])
    ]
    engine = {"store", "tracking", "executor", "force", "only"}
    configs = [{k: v for k, v in to_dict(p.config).items() if k not in engine} for p in points]
    return f"{points[0].experiment}-sweep-{digest(configs)[:8]}", len(points)


class _Runner:
    """Hydra's task function: runs one composed point and remembers how it went."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        """The words that it was given."""
        self.group: str | None = None
        """The sweep's name, where there is one."""
        self.num_points: int | None = None
        self.sweep_command: list[str] = []
        self.config_dir: str | None = None
        self.exit_code = 0
        self._page: Path | None = None
        """The page of the point that ended last."""
        self._store: Store | None = None
        """Where the points of a sweep were run."""

    def run_point(self, composed: DictConfig) -> None:
        """Run one point, printing its table; Hydra calls this."""
        choices = HydraConfig.get().runtime.choices
        try:
            hydra_config = HydraConfig.get()
            origin = Origin(
                overrides=tuple(hydra_config.overrides.task),
                config_name=str(hydra_config.job.config_name),
                config_dir=self.config_dir,
            )
            self._run(compose.check(composed, choices, origin))
        except Interrupted as error:
            sys.exit(self.report(error))  # the points that follow in a sweep do not start
        except LmexpError as error:
            self.report(error)  # Hydra would print it again; the other points of a sweep still run

    def _run(self, composition: Composition) -> None:
        self._page = None
        if self.group is not None and composition.origin is not None:
            number = f"{int(HydraConfig.get().job.num) + 1} of {self.num_points or 'more'}"
            print(f"\npoint {number}: {' '.join(composition.origin.overrides)}", file=sys.stderr)
        finished = run_composition(
            composition, group=self.group, at_end=lambda run: self._ended(composition, run)
        )
        with contextlib.suppress(OSError):  # the run is done, whether or not anybody reads it
            print(summary(finished.run))
            if finished.tracking:
                print(finished.tracking)
            if (finished.run.path / PAGE).exists():
                print(f"report: {finished.run.path / PAGE}")
            sys.stdout.flush()

    def _ended(self, composition: Composition, run: Run) -> None:
        """Write the run's page, and its place in the sweep."""
        if self.group is not None and composition.origin is not None:
            try:
                self._note_point(self.group, composition, run, composition.origin.overrides)
            except OSError as error:  # the run itself is recorded all the same
                print(f"lmexp: the sweep's record could not be written ({error}).", file=sys.stderr)
        report_at_end(run)
        self._page = run.path / PAGE

    def _note_point(self, group: str, composition: Composition, run: Run, overrides: Sequence[str]) -> None:
        """Record the point in the sweep's own record."""
        if self._store is None:
            store = Store(composition.store)
            note_sweep(store, group, command=self.sweep_command, num_points=self.num_points)
            self._store = store
        index = int(HydraConfig.get().job.num)
        note_point(self._store, group, run.name, index=index, overrides=overrides)

    def end_sweep(self) -> None:
        """Write the sweep's page, if there was a sweep that reached a point, and say where it is."""
        if self._store is None or self.group is None:
            return
        page = sweep_report_at_end(self._store, self.group)
        if page is not None:
            with contextlib.suppress(OSError):
                print(f"\nsweep report: {page}", flush=True)

    def report(self, error: LmexpError) -> int:
        """Print one sentence, and how to go on; return the exit code."""
        self.exit_code = max(self.exit_code, error.exit_code)
        print(f"lmexp: {printable(str(error))}", file=sys.stderr)
        if error.exit_code != 2 and self._page is not None and self._page.exists():
            print(f"The run so far: {self._page}", file=sys.stderr)
        log = getattr(error, "log", None)
        if log is not None and error.exit_code == 1:
            print(f"The stage's own output: {log}", file=sys.stderr)
        if error.exit_code in (1, 75) and not isinstance(error, VerificationError | Diverged):
            print(f"To resume: {command([*run_words(typed=True), *self.words])}", file=sys.stderr)
        return self.exit_code


if __name__ == "__main__":
    sys.exit(main())
