"""Writes the pages of runs and sweeps again, from their records."""

import argparse
import functools
from collections.abc import Callable

from lmexp.errors import StoreError
from lmexp.verbs.words import split_store


def report(arguments: argparse.Namespace) -> int:
    """[RUN ...] [--sweep NAME ...]: write the page of each, or of all runs and sweeps, and print its path"""
    from lmexp.analysis.report import renew_report, write_sweep_report
    from lmexp.core.records.runs import find_run, list_runs, lost_runs
    from lmexp.core.records.sweeps import find_sweep, sweep_names

    words, store = split_store(arguments.words)
    named = bool(words or arguments.sweep)
    runs = [find_run(store, word) for word in words] if named else list_runs(store)
    pages: list[Callable[[], object]] = [functools.partial(renew_report, run) for run in runs]
    for name in arguments.sweep if named else sweep_names(store):
        pages.append(lambda name=name: write_sweep_report(find_sweep(store, name)))  # type: ignore[misc]
    failed = [] if named else lost_runs(store)
    for page in pages:
        try:
            print(page())
        except StoreError as error:  # a damaged artifact keeps no other run from its page
            failed.append(str(error))
    if failed:
        raise StoreError("; ".join(failed))
    return 0
