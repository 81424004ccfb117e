"""The parent's side of running a stage: start the child, watch it, stop it, read its outcome.

The child gets a session of its own, so that Ctrl-C in a terminal reaches the parent alone, which
then asks for a stop by creating a file that the stage polls. A stage that cannot resume is killed
instead: it has nothing to save.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from lmexp.core.running.worker import EXIT_DISK_FULL, describe_exit
from lmexp.core.values.files import read_json, write_json
from lmexp.core.values.parent import PARENT_PID, PARENT_PIPE

POLL_S = 0.05


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a child ended."""

    status: Literal["complete", "stopped", "failed", "killed", "disk_full"]
    result: dict[str, Any] = dataclasses.field(default_factory=dict)
    message: str = ""
    exit_code: int = 1
    type: str = ""
    """Name of the exception's class."""
    traceback: str = ""
    cpu_seconds: float = 0.0


def run_child(
    spec: Mapping[str, Any],
    *,
    environment: Mapping[str, str],
    can_stop: bool,
    grace_s: float,
    tick: Callable[[], Literal["go", "stop", "kill"]],
) -> Outcome:
    """Run the spec's stage in a child process and return how it ended.

    `environment` is all that the child sees (see `core.variables`). `tick` is called every `POLL_S`
    seconds and says whether to go on, to ask the child to stop (it has `grace_s` seconds for it) or to
    kill it at once.
    """
    attempt = Path(spec["attempt"])
    write_json(attempt / "spec.json", spec)
    read_end, write_end = os.pipe()
    try:
        with (attempt / "log.txt").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "lmexp.core.running.worker", str(attempt / "spec.json")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, PARENT_PID: str(os.getpid()), PARENT_PIPE: str(read_end)},
                pass_fds=(read_end,),
                start_new_session=True,
            )
        os.close(read_end)
        read_end = -1
        return _watch(child, attempt, can_stop=can_stop, grace_s=grace_s, tick=tick)
    finally:
        os.close(write_end)
        if read_end != -1:
            os.close(read_end)


def _watch(
    child: "subprocess.Popen[bytes]",
    attempt: Path,
    *,
    can_stop: bool,
    grace_s: float,
    tick: Callable[[], Literal["go", "stop", "kill"]],
) -> Outcome:
    deadline: float | None = None
    killed = False
    try:
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                child.returncode = os.waitstatus_to_exitcode(status)
                break
            wish = tick()
            if wish == "stop" and deadline is None:
                deadline = time.monotonic() + (grace_s if can_stop else 0.0)
                (attempt / "stop").touch()
            if wish == "kill" or (deadline is not None and time.monotonic() >= deadline):
                killed = True
                _kill(child)
            time.sleep(POLL_S)
    except BaseException:
        _kill(child)
        child.wait()
        raise
    cpu_seconds = usage.ru_utime + usage.ru_stime
    if killed:
        return Outcome(status="killed", cpu_seconds=cpu_seconds)
    return dataclasses.replace(_read_outcome(attempt, child.returncode), cpu_seconds=cpu_seconds)


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """Kill the child; its own children follow, since each of them dies with its parent."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)


def _read_outcome(attempt: Path, code: int) -> Outcome:
    if code == 0 and (attempt / "result.json").exists():
        result = read_json(attempt / "result.json")
        return Outcome(status=result["status"], result=result)
    if code == EXIT_DISK_FULL:
        return Outcome(status="disk_full")
    errors = []
    for path in attempt.glob("error-*.json"):
        with contextlib.suppress(OSError, ValueError):
            errors.append(read_json(path))
    if not errors:
        return Outcome(status="failed", message=f"its process {describe_exit(code)}.")
    # When one rank dies the others fail too; what lmexp itself reported is the root cause.
    first = min(errors, key=lambda e: (not e["expected"], e["time"]))
    return Outcome(
        status="failed",
        message=first["message"],
        exit_code=first["exit_code"],
        type=first["type"],
        traceback=first["traceback"],
    )
