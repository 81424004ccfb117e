"""Pages written beside the records that they show: ``report.html`` of a run, and of a sweep."""

import sys
from pathlib import Path

from lmexp.analysis.page import run_page
from lmexp.analysis.records import read_run
from lmexp.analysis.sweep import sweep_page
from lmexp.core.provenance.calling import verb
from lmexp.core.records.runs import PAGE, Run
from lmexp.core.records.sweeps import Sweep, find_sweep
from lmexp.core.store.disk import is_disk_full
from lmexp.core.store.store import Store
from lmexp.core.values.sealed import write_sealed_page


def write_report(run: Run) -> Path:
    """Write the page of a run beside its record and return its path."""
    path = run.path / PAGE
    write_sealed_page(path, run_page(read_run(run)))
    return path


def renew_report(run: Run) -> str:
    """Write the page of a run again, unless that would lose what it shows; return a line that says which.

    Curves, samples and environments are read from the artifacts. Where one of them is gone, a page that
    is there shows more than a new one could, and stays.
    """
    lost = run.lost_artifact
    if lost is None or not (run.path / PAGE).exists():
        return str(write_report(run))
    return f"{run.name}: kept as it was, since {lost} is no longer in the store"


def write_sweep_report(sweep: Sweep) -> Path:
    """Write the page of a sweep beside its record and return its path."""
    path = sweep.path / PAGE
    write_sealed_page(path, sweep_page(sweep))
    return path


def report_at_end(run: Run) -> None:
    """Write the page of a run that ends; a page that fails is one line of warning, not a failed run.

    A run that failed since the disk is full says so itself.
    """
    try:
        write_report(run)
    except Exception as error:
        if is_disk_full(error) and run.status != "done":
            return
        _warn(f"the report of {run.name}", error, verb("report", run.name, store=run.path.parents[1]))


def sweep_report_at_end(store: Store, group: str) -> Path | None:
    """Write the page of a sweep that ends and return its path; None, with a warning, where that fails."""
    try:
        return write_sweep_report(find_sweep(store, group))
    except Exception as error:
        _warn(f"the report of {group}", error, verb("report", "--sweep", group, store=store.root))
        return None


def _warn(what: str, error: Exception, again: str) -> None:
    reason = " ".join(str(error).split())
    sys.stderr.write(
        f"lmexp: {what} could not be written ({type(error).__name__}: {reason}); to try again: {again}\n"
    )
