"""``python -m lmexp.run +experiment=small_gpt``: compose, plan, execute, summarise.

Hydra owns the command line, sweeps included (``-m``). Every point of a sweep is composed and checked
before the first stage runs. Exit codes: 0 done, 2 the user's input, 1 a failure, 75 interrupted and
resumable by the same command.
"""

import argparse
import contextlib
import dataclasses
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hydra.version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lmexp.analysis.report import report_at_end, sweep_report_at_end
from lmexp.analysis.summary import summary
from lmexp.analysis.sweep_summary import sweep_summary
from lmexp.core.graph.compose import (
    CONFIG_NAME,
    Composition,
    Origin,
    check,
    hydra_of,
    own_config_dir,
    register_schemas,
)
from lmexp.core.graph.composing_errors import translated_errors
from lmexp.core.graph.groups import choice, groups
from lmexp.core.graph.multirun import PlannedSweep, planned_sweep
from lmexp.core.provenance.calling import run_words, verb, version
from lmexp.core.provenance.own import shipped
from lmexp.core.records.runs import PAGE, Run
from lmexp.core.records.sweep_recorder import SweepRecorder
from lmexp.core.records.sweeps import exit_code_of, find_sweep, note_point
from lmexp.core.running.arguments import in_one_sentence
from lmexp.core.running.entry import command_line, expected
from lmexp.core.running.session import run_composition
from lmexp.core.store.store import Store
from lmexp.core.values.spelling import command, override
from lmexp.core.values.terminal import printable
from lmexp.errors import ConfigError, Diverged, Interrupted, LmexpError, VerificationError
from lmexp.verbs.completion import completion_script

_INFORMATION = ("hydra_help", "version", "cfg", "info", "shell_completion")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return command_line(run_words_given, argv)


def run_words_given(arguments: list[str]) -> int:
    """Run the words of a command line, which ``lmexp run`` has too, and return the exit code."""
    parser = _parser()
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
    if runner.fault is not None:
        raise runner.fault
    return runner.exit_code


def _parser() -> argparse.ArgumentParser:
    """Return Hydra's parser, with lmexp's own version."""
    parser = in_one_sentence(get_args_parser())
    for action in parser._actions:
        if "--version" in action.option_strings:
            action.version = f"lmexp {version()} (Hydra {hydra.__version__})"  # type: ignore[attr-defined]
    return parser


def _run_points(options: argparse.Namespace, parser: argparse.ArgumentParser, runner: "_Runner") -> None:
    """Let Hydra compose and run the one point, or every point of a sweep."""
    if options.experimental_rerun is not None:
        raise ConfigError("--experimental-rerun is not accepted: give the same command again to resume.")
    if options.resolve and options.cfg is None:
        raise ConfigError("--resolve goes with --cfg: --cfg job --resolve.")
    if options.config_path is not None:
        raise ConfigError("--config-path is not accepted: add your configs with --config-dir DIR.")
    origin = Origin(
        overrides=tuple(options.overrides),
        config_name=options.config_name or CONFIG_NAME,
        config_dir=options.config_dir,
    )
    if any(getattr(options, name, None) for name in _INFORMATION):
        _inform(options, parser, origin)
        return
    with hydra_of(origin) as hydra:
        flag = True if options.multirun else False if options.run else None
        sweep = planned_sweep(hydra, origin, multirun=flag)
        if sweep is None:
            runner.origin = dataclasses.replace(origin, overrides=())
            hydra.run(origin.config_name, runner.run_point, [*origin.overrides, "hydra.mode=RUN"])
        else:
            _run_sweep(hydra, origin, sweep, runner)


def _run_sweep(hydra: Hydra, origin: Origin, sweep: PlannedSweep, runner: "_Runner") -> None:
    words = [*(["-m"] if "-m" in runner.words or "--multirun" in runner.words else []), *origin.overrides]
    recorder = {
        "_target_": f"{SweepRecorder.__module__}.{SweepRecorder.__qualname__}",
        "store": str(sweep.store),
        "group": sweep.group,
        "command": dataclasses.replace(origin, overrides=tuple(words)).command,
        "num_points": len(sweep.points),
    }
    Store(sweep.store).prepare()
    runner.origin, runner.sweep = dataclasses.replace(origin, overrides=sweep.single), sweep
    with tempfile.TemporaryDirectory() as scratch:  # Hydra writes a file of its own about each sweep
        own = [override("hydra.sweep.dir", scratch), override("++hydra.callbacks.lmexp", recorder)]
        try:
            hydra.multirun(
                origin.config_name, runner.run_point, [*origin.overrides, *own, "hydra.mode=MULTIRUN"]
            )
        finally:
            runner.end_sweep()


def _inform(options: argparse.Namespace, parser: argparse.ArgumentParser, origin: Origin) -> None:
    """Let Hydra print what one of its own options asks for."""
    if options.shell_completion:
        shell = dict(word.partition("=")[::2] for word in origin.overrides).get("install", "bash")
        print(completion_script(shell))
        return
    own = own_config_dir(origin.config_dir)
    register_schemas(origin.config_name, own)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come here instead of being printed
    options.config_dir = own
    hydra.version.setbase("1.3")
    with translated_errors():
        logging.getLogger("hydra").setLevel(logging.NOTSET)  # --info speaks through it
        _run_hydra(
            args=options,
            args_parser=parser,
            task_function=lambda _config: None,
            config_path=str(shipped("conf")),
            config_name=CONFIG_NAME,
        )


def _help(config_dir: str | None) -> str:
    """Return how to use the command, with every config group; composes nothing, to answer at once."""
    own = own_config_dir(config_dir)
    found = groups([shipped("conf"), *([Path(own)] if own else [])])
    run = command(run_words(typed=True))
    return "\n".join(
        [
            f"usage: {run} [-m] [--config-dir DIR] [--config-name N] +experiment=E [key=value]",
            "",
            "Runs an experiment; given again, it reuses what is there and resumes what was stopped.",
            "With -m, values separated by commas are swept: model.num_layers=1,2,4 seed=1,2",
            "",
            "groups:",
            *(f"  {choice(group, '|'.join(options))}" for group, options in found.items()),
            "",
            f"every key with its value:   {run} +experiment=NAME --cfg job",
            f"what a run would do:        {verb('plan', '+experiment=NAME')} [key=value ...]",
            f"Hydra's own options:        {run} --hydra-help",
        ]
    )


class _Runner:
    """Hydra's task function: runs one composed point and remembers how it went."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        """The words that it was given."""
        self.origin = Origin(overrides=())
        """Where the configurations of points come from, and what is added to a point's own command."""
        self.sweep: PlannedSweep | None = None
        self.exit_code = 0
        self.fault: Exception | None = None
        """What was raised by a mistake in lmexp or in a user's code, not about anybody's input."""
        self._page: Path | None = None
        """The page of the point that ended last."""

    def run_point(self, composed: DictConfig) -> int:
        """Run one point, printing its table; Hydra calls this, in a sweep for each point."""
        hydra_config = HydraConfig.get()
        words = tuple(hydra_config.overrides.task)
        index = int(hydra_config.job.num) if self.sweep is not None else 0
        try:
            origin = dataclasses.replace(self.origin, overrides=(*words, *self.origin.overrides))
            self._run(check(composed, hydra_config.runtime.choices, origin), index, words)
        except Interrupted as error:
            code = self.report(error)
            if self.sweep is not None:
                self._note_point(self.sweep, index, words, run=None, exit_code=code)
            sys.exit(code)  # the points that follow in a sweep do not start
        except Exception as error:
            try:  # the other points of a sweep still run
                return self.report(expected(error))
            except Exception as fault:
                self.fault = self.fault or fault
                self.exit_code = max(self.exit_code, 1)
                return 1
        return 0

    def _run(self, composition: Composition, index: int, words: Sequence[str]) -> None:
        self._page = None
        if self.sweep is not None:
            number = f"{index + 1} of {len(self.sweep.points)}"
            print(f"\npoint {number}: {printable(' '.join(words))}", file=sys.stderr)
        finished = run_composition(
            composition,
            group=self.sweep.group if self.sweep is not None else None,
            at_end=lambda run: self._ended(run, index, words),
        )
        with contextlib.suppress(OSError):  # the run is done, whether or not anybody reads it
            print(summary(finished.run))
            if finished.tracking:
                print(finished.tracking)
            if (finished.run.path / PAGE).exists():
                print(f"report: {finished.run.path / PAGE}")
            sys.stdout.flush()

    def _ended(self, run: Run, index: int, words: Sequence[str]) -> None:
        """Write the run's page, and its place in the sweep."""
        if self.sweep is not None:
            self._note_point(self.sweep, index, words, run=run.name, exit_code=None)
        report_at_end(run)
        self._page = run.path / PAGE

    def _note_point(
        self, sweep: PlannedSweep, index: int, words: Sequence[str], *, run: str | None, exit_code: int | None
    ) -> None:
        try:
            note_point(
                Store(sweep.store), sweep.group, index=index, overrides=words, run=run, exit_code=exit_code
            )
        except OSError as error:  # the run itself is recorded all the same
            print(f"lmexp: the sweep's record could not be written ({error}).", file=sys.stderr)

    def end_sweep(self) -> None:
        """Write the sweep's page, say where it is, and take the exit code from what the points have left."""
        if self.sweep is None:
            return
        store = Store(self.sweep.store)
        with contextlib.suppress(OSError):
            self.exit_code = max(self.exit_code, exit_code_of(store, self.sweep.group))
        self._print_sweep(store, self.sweep.group)
        page = sweep_report_at_end(store, self.sweep.group)
        if page is not None:
            with contextlib.suppress(OSError):
                print(f"\nsweep report: {page}", flush=True)

    def _print_sweep(self, store: Store, group: str) -> None:
        """Print the table of a sweep's points; what cannot be read is said where its page is written."""
        with contextlib.suppress(OSError, LmexpError):
            print(f"\n{sweep_summary(find_sweep(store, group))}", flush=True)

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
