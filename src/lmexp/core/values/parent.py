"""A child's bond with the process that started it: it ends when that does, killed or not.

A child asks the kernel for it (PR_SET_PDEATHSIG) and, off Linux too, watches a pipe that only the parent
holds open. The parent gives both in the child's environment.
"""

import contextlib
import ctypes
import os
import signal
import sys
import threading

PARENT_PID = "LMEXP_PARENT_PID"
"""Variable that holds the parent's process id."""
PARENT_PIPE = "LMEXP_PARENT_PIPE"
"""Variable that holds the descriptor of the pipe's end that the child reads."""

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Make this process end as soon as the one that started it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    expected = int(os.environ.get(PARENT_PID, "0"))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if expected and os.getppid() != expected:
        os._exit(1)
    pipe = os.environ.get(PARENT_PIPE)
    if pipe:
        threading.Thread(target=_watch, args=(int(pipe),), daemon=True, name="lmexp-parent").start()


def _watch(pipe: int) -> None:
    with contextlib.suppress(OSError):
        os.read(pipe, 1)  # returns only when the parent's end is closed
    os._exit(1)
