"""What a process has started dies with it, at any depth, when it is killed."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lmexp.training.compilation.guard import guarded_group
from tests.core.conftest import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "getpgrp"), reason="it is about process groups")

COMPILING = """
import subprocess, sys, time
from lmexp.training.compilation.guard import guarded_group
with guarded_group():
    # a compiler that starts a compiler
    subprocess.Popen([sys.executable, "-c", "import subprocess, sys; subprocess.run(['sleep', '600'])"])
    time.sleep({seconds})
print("over", flush=True)
time.sleep(600)
"""


def started(seconds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMPILING.format(seconds=seconds)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def group(pid: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == pid and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_a_killed_process_takes_its_childrens_children_with_it():
    process = started(600)
    try:
        # itself, the guard, the compiler, and what that has started
        wait_until(lambda: len(group(process.pid)) == 4, timeout_s=30)
        process.kill()
        process.wait()
        wait_until(lambda: not group(process.pid), timeout_s=10)
    finally:
        if group(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def test_a_guard_that_is_let_go_ends_nothing():
    process = started(0)
    try:
        assert process.stdout.readline() == "over\n"
        time.sleep(0.2)
        assert len(group(process.pid)) == 3
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_process_that_leads_no_group_has_no_guard():
    if os.getpgrp() == os.getpid():
        pytest.skip("these tests lead a group")
    before = psutil.Process().children()
    with guarded_group():
        assert psutil.Process().children() == before
