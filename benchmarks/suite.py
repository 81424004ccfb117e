"""Where the CPU seconds of the tests go, by file and by test, with those of the processes that they start.

``python -m pytest -p benchmarks.suite [FILES]`` runs as usual and prints a table at the end. Durations, which
pytest itself prints, grow with whatever else the machine does. A fixture of a module or a session counts to
the test that asks for it first. Processes that outlive a test, or that nobody waits for, are not seen.
"""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

NUM_FILES = 30
NUM_TESTS = 30

_spent: dict[str, tuple[float, float]] = {}
"""Test to CPU seconds, of this process and of those that ended below it."""


def _clock() -> tuple[float, float]:
    times = os.times()
    return times.user + times.system, times.children_user + times.children_system


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure a test with its fixtures."""
    own, below = _clock()
    done = yield
    own_after, below_after = _clock()
    _spent[item.nodeid] = (own_after - own, below_after - below)
    return done


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what a worker has measured to the process that prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cpu"] = dict(_spent)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker has measured."""
    _spent.update({name: (own, below) for name, (own, below) in node.workeroutput.get("cpu", {}).items()})


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the files and the tests that took most."""
    files: Counter[str] = Counter()
    for name, seconds in _spent.items():
        files[name.partition("::")[0]] += sum(seconds)
    own, below = (sum(seconds[i] for seconds in _spent.values()) for i in (0, 1))
    terminalreporter.section(f"CPU seconds: {own:.0f} in tests, {below:.0f} in their processes")
    for file, total in files.most_common(NUM_FILES):
        terminalreporter.line(f"{total:8.1f}  {file}")
    terminalreporter.line("   in it  below it")
    for name, (mine, theirs) in sorted(_spent.items(), key=lambda entry: -sum(entry[1]))[:NUM_TESTS]:
        terminalreporter.line(f"{mine:8.1f}  {theirs:8.1f}  {name}")
