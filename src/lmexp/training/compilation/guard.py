"""A process that outlives its process group for a moment, to end what a killed training leaves.

Inductor starts C++ compilers, and they start compilers proper: a signal that ends a training ends neither,
and the kernel's signal at a parent's death (PR_SET_PDEATHSIG) reaches children alone, not theirs. But all are
in the process group of the worker, which leads one of its own. So a guard waits for a pipe that only the
worker holds open: closed without a word, it ends the group, itself included.

A process that leads no group, such as a test that trains in its own, has no guard: its group is not only its.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

_GUARD = "import os, signal, sys; os.read(0, 1) or os.killpg(int(sys.argv[1]), signal.SIGKILL)"
"""Ends the group named by its only argument, unless it reads a byte first."""


@contextlib.contextmanager
def guarded_group() -> Iterator[None]:
    """End all that this process has started, at any depth in its group, should it die meanwhile."""
    if not hasattr(os, "getpgrp") or os.getpgrp() != os.getpid():
        yield
        return
    # -I and -S: no file of the user's and no site package can change or slow what it does
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpgrp())], stdin=subprocess.PIPE
    )
    try:
        yield
    finally:
        assert guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.write(b".")
            guard.stdin.close()
        guard.wait()
