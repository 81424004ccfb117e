"""Writes the pages of runs and sweeps again, from their records."""

import argparse

from lmexp.verbs.words import split_store


def report(arguments: argparse.Namespace) -> int:
    """[RUN ...] [--sweep NAME ...]: write the page of each, or of all runs and sweeps, and print its path"""
    from lmexp.analysis.report import renew_report, write_sweep_report
    from lmexp.core.runs import find_run, list_runs
    from lmexp.core.sweeps import find_sweep, sweep_names

    words, store = split_store(arguments.words)
    named = bool(words or arguments.sweep)
    runs = [find_run(store, word) for word in words] if named else list_runs(store)
    sweeps = [find_sweep(store, name) for name in (arguments.sweep if named else sweep_names(store))]
    for run in runs:
        print(renew_report(run))
    for sweep in sweeps:
        print(write_sweep_report(sweep))
    return 0
