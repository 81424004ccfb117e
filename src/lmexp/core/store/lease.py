"""A lease: one process computes a stage, the others wait and then reuse.

The lease of a fingerprint is a directory of numbered generations. Whoever creates the file of the
next generation first (`link` fails if the name exists, also on NFS) holds the lease; the newest
generation is the valid one, and an older holder that sees a newer one, or somebody else's file in the
place of its own, has lost it. Nothing is deleted while anybody holds it, so releasing cannot race with
beating or with taking over:

    0001.json   who: host, boot, process id and its start time, and a token of its own
    0001.beat   a counter that only the holder of generation 1 writes
    0001.done   generation 1 was released

A lease is stale when its counter has not moved for `stale_after_s` of the waiter's own monotonic
clock: no clocks are compared between machines. A holder on the same host whose process is gone is
taken over at once.
"""

import contextlib
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lmexp.core.values.files import is_leftover, write_text
from lmexp.core.values.sealed import read_sealed, write_sealed

BEAT_EVERY_S = 1.0
_GENERATION = re.compile(r"([0-9]{4,})\.json")
_FILE = re.compile(r"[0-9]{4,}\.(json|beat|done)")
_CONTENT = {"beat": re.compile(rb"[0-9]+\n"), "done": re.compile(rb"")}


class Lease:
    """A held lease; beats in a daemon thread until it is released or lost."""

    def __init__(self, directory: Path, generation: int, token: str) -> None:
        self.generation = generation
        self._directory = directory
        self._token = token
        self._beat_file = directory / f"{generation:04d}.beat"
        self._stop = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lmexp-lease")
        self._thread.start()

    @property
    def lost(self) -> bool:
        """Whether another process has taken over; then this one must stop and publish nothing."""
        return self._lost or not self._is_valid()

    def _is_valid(self) -> bool:
        if newest_generation(self._directory) != self.generation:
            return False
        try:  # the directory may have been collected, and begun anew by another
            return bool(_who(self._directory, self.generation).get("token") == self._token)
        except OSError:
            return False

    def stop_beating(self) -> None:
        """Write nothing any more; this process holds the lease still."""
        self._stop.set()
        self._thread.join()

    def release(self) -> None:
        """Let waiters go on; safe to call after the lease was lost."""
        self.stop_beating()
        with contextlib.suppress(OSError):
            write_text(self._directory / f"{self.generation:04d}.done", "")

    def _beat(self) -> None:
        counter = 0
        while not self._stop.wait(BEAT_EVERY_S):
            counter += 1
            with contextlib.suppress(OSError):
                write_text(self._beat_file, f"{counter}\n", durable=False)
                if not self._is_valid():
                    self._lost = True
                    return


class Waiter:
    """Tries to acquire one lease; keeps what it has seen of the holder's heartbeat."""

    def __init__(
        self, directory: Path, stale_after_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._stale_after_s = stale_after_s
        self._clock = clock
        self._seen: tuple[int, str] | None = None
        self._seen_at = 0.0

    def try_acquire(self) -> Lease | None:
        """Return the lease if it is free, released, dead or stale; None if its holder lives."""
        self._directory.mkdir(parents=True, exist_ok=True)
        generation = newest_generation(self._directory)
        if generation and not self._is_free(generation):
            return None
        token = uuid.uuid4().hex
        temporary = self._directory / f".{token}.tmp"
        try:
            write_sealed(temporary, {**this_process(), "token": token})
            os.link(temporary, self._directory / f"{generation + 1:04d}.json")
        except (FileExistsError, FileNotFoundError):  # another was first, or collects the directory
            return None
        finally:
            temporary.unlink(missing_ok=True)
        return Lease(self._directory, generation + 1, token)

    def _is_free(self, generation: int) -> bool:
        if not is_held(self._directory):
            return True
        try:
            beat = (self._directory / f"{generation:04d}.beat").read_text()
        except OSError:
            beat = ""
        if self._seen != (generation, beat):
            self._seen, self._seen_at = (generation, beat), self._clock()
            return False
        return self._clock() - self._seen_at >= self._stale_after_s


def newest_generation(directory: Path) -> int:
    """Return the number of the valid generation, 0 where there was never one."""
    try:
        names = os.listdir(directory)
    except OSError:
        return 0
    return max((int(match[1]) for name in names if (match := _GENERATION.fullmatch(name))), default=0)


def holder(directory: Path) -> dict[str, Any] | None:
    """Return who holds the valid generation, or None where it was released or never taken."""
    generation = newest_generation(directory)
    if not generation or (directory / f"{generation:04d}.done").exists():
        return None
    return last_holder(directory)


def last_holder(directory: Path) -> dict[str, Any]:
    """Return who has taken the newest generation, whether it is held still or not."""
    with contextlib.suppress(OSError):
        who = _who(directory, newest_generation(directory))
        if is_process(who):
            return who
    return {"host": "unknown", "boot": "", "pid": 0, "started": None}


def _who(directory: Path, generation: int) -> dict[str, Any]:
    """Return what a generation's file says, empty where it is damaged. Errors: `OSError`."""
    try:
        return read_sealed(directory / f"{generation:04d}.json")
    except ValueError:
        return {}


def lease_problems(directory: Path) -> list[str]:
    """Return one sentence for each file of a lease's directory that is not as a holder wrote it."""
    found = []
    for path in sorted(path for path in directory.iterdir() if not is_leftover(path)):
        match = _FILE.fullmatch(path.name)
        try:
            if match is None or not path.is_file():
                found.append(f"{path} is nothing that lmexp wrote")
            elif match[1] == "json":
                read_sealed(path)
            elif not _CONTENT[match[1]].fullmatch(path.read_bytes()):
                found.append(f"{path} is not as lmexp wrote it")
        except (OSError, ValueError):
            found.append(f"{path} is not as lmexp wrote it")
    return found


def collect(directory: Path, trash: Path) -> bool:
    """Move the directory of a lease that nobody holds to `trash`, and return whether that was so.

    It is held meanwhile, so that whoever comes to need it waits, and then begins another: nothing of this
    lease is written once it has gone, since its file would lie among the other's.
    """
    if is_held(directory):
        return False
    lease = Waiter(directory, stale_after_s=float("inf")).try_acquire()
    if lease is None:
        return False
    trash.parent.mkdir(parents=True, exist_ok=True)
    lease.stop_beating()
    directory.rename(trash)
    return True


def is_process(who: Any) -> bool:
    """Whether a value has the form of what `this_process` returns."""
    return (
        isinstance(who, dict)
        and all(isinstance(who.get(key), str) for key in ("host", "boot"))
        and type(who.get("pid")) is int
        and isinstance(who.get("started", 0), str | None)
    )


def is_held(directory: Path) -> bool:
    """Whether the lease has a holder that is not known to be dead (it may still be stale)."""
    who = holder(directory)
    return who is not None and not known_dead(who)


def this_process() -> dict[str, Any]:
    """Identify this process among all of all hosts."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "boot": _boot(), "pid": pid, "started": process_start(pid)}


def known_dead(who: dict[str, Any]) -> bool:
    """Whether a process ran on this host and is gone; of another host's nothing is known."""
    if who["host"] != socket.gethostname() or who["boot"] != _boot():
        return False
    return bool(process_start(who["pid"]) != who["started"])


def _boot() -> str:
    """Identify this boot of this machine and its process-id namespace; empty off Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def process_start(pid: int) -> str | None:
    """Return when a live process started, in the kernel's ticks; None if there is no such process.

    Where there is no /proc, a live process gives an empty string.
    """
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return ""
        return ""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]
