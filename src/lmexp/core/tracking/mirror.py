"""The parent's side of tracking: starts the mirror process and never waits for it while stages run."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from lmexp.core.provenance.calling import verb
from lmexp.core.records.runs import MIRROR_LOG, TRACKING, Run
from lmexp.core.store.lease import Lease, Waiter
from lmexp.core.store.store import Store
from lmexp.core.tracking.destination import destination_of
from lmexp.core.tracking.uploader import arrives_as, has_key, server
from lmexp.core.values.parent import PARENT_PID, PARENT_PIPE
from lmexp.core.values.sealed import read_sealed

_OFFLINE_TIMEOUT_S = 60.0
_STALE_AFTER_S = 30.0
_POLL_S = 0.1
_RESOLVED = (
    *("WANDB_MODE", "WANDB_DISABLED", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_NAME", "WANDB_TAGS"),
    *("WANDB_NOTES", "WANDB_RUN_GROUP", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_DIR", "WANDB_JOB_TYPE"),
    *("WANDB_PROGRAM", "WANDB_ARGS", "WANDB_SERVICE"),
)
"""Variables whose meaning is in the run's record already. The last would lend us the service of a caller that
uses wandb itself, which outlives a killed mirror."""


class Mirror:
    """Mirrors one run to wandb in a process of its own; does nothing where its tracking is off."""

    def __init__(self, store: Store, run: Run, finish_timeout_s: float, mode: str | None = None) -> None:
        """`mode` stands in the place of the run's own."""
        self._path = run.path
        self._store = store
        self._finish_timeout_s = finish_timeout_s
        self._destination = arrives_as(run.data)
        self._waiter = Waiter(store.leases(f"mirror-{run.path.name}"), _STALE_AFTER_S)
        self._lease: Lease | None = None
        self._mode = mode or str(destination_of(run.data)["mode"])
        if self._mode == "auto":
            self._mode = "online" if has_key() else "offline"
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1

    @property
    def is_complete(self) -> bool:
        """Whether the whole run has been mirrored already; what was uploaded needs no recording."""
        if self._mode == "off":
            return True
        state = self.state()
        if not state.get("complete") or any(state.get(k) != v for k, v in self._destination.items()):
            return False
        if self._mode == "online":
            return (state["mode"], state["server"]) == ("online", server())
        return True

    def start(self, mode: str | None = None, note: str = "") -> None:
        """Start the mirror process unless tracking is off or another process mirrors this run."""
        if self._mode == "off" or self._process is not None:
            return
        self._lease = self._lease or self._waiter.try_acquire()
        if self._lease is None:
            return
        (self._path / TRACKING).unlink(missing_ok=True)
        read_end, self._pipe = os.pipe()
        data = self._path / "wandb-data"
        environment = {
            **os.environ,
            PARENT_PID: str(os.getpid()),
            PARENT_PIPE: str(read_end),
            "WANDB_DATA_DIR": str(data),
            "WANDB_CACHE_DIR": str(data / "cache"),
            "WANDB_CONFIG_DIR": str(data / "config"),
            "WANDB_SILENT": "true",
            "WANDB_ERROR_REPORTING": "false",  # wandb's reports about itself wait for servers of their own
        }
        for name in _RESOLVED:
            environment.pop(name, None)
        if (mode or self._mode) == "offline":  # what records locally has no business with a server
            for name in ("WANDB_BASE_URL", "WANDB_API_KEY"):
                environment.pop(name, None)
        with (self._path / MIRROR_LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "lmexp.core.tracking.uploader",
                    str(self._path),
                    mode or self._mode,
                    note,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(read_end,),
                start_new_session=True,
            )
        os.close(read_end)

    def end(self) -> None:
        """After a failure: let a mirror that runs send the rest, in no more than its time."""
        if self._process is not None:
            self._wait(self._finish_timeout_s)

    def finish(self) -> str:
        """Wait for the mirror to send the rest; return one line that says where the run is.

        A server that does not take the rest in time is left alone: the run is recorded offline.
        """
        if self._mode == "off":
            return ""
        timeout_s = self._finish_timeout_s if self._mode == "online" else _OFFLINE_TIMEOUT_S
        end = time.monotonic() + timeout_s
        while self._process is None:
            if self.is_complete:
                return self._where()
            self.start()
            if self._process is None and time.monotonic() > end:
                return "wandb: another process mirrors this run"
            time.sleep(_POLL_S)
        finished = self._wait(timeout_s, keep_lease=True)
        if not finished and self._mode == "online":
            why = self.state().get("note") or f"the wandb server did not take the run in {timeout_s:g} s"
            self.start(mode="offline", note=why)
            self._wait(_OFFLINE_TIMEOUT_S, keep_lease=True)
        if self._lease is not None:
            self._lease.release()
        return self._where()

    def upload(self, timeout_s: float) -> str:
        """Send an ended run to the server as it stands; return why not all of it arrived, or nothing."""
        end = time.monotonic() + timeout_s
        while self._process is None:
            if self.is_complete:  # another process has just done it
                return ""
            self.start("sync")
            if self._process is None and time.monotonic() > end:
                return "another process mirrors it"
            time.sleep(_POLL_S)
        if self._wait(timeout_s):
            return ""
        why = self.state().get("note") or f"the server did not take it in {timeout_s:g} s"
        return f"{why} (see {self._path / MIRROR_LOG})"

    def _wait(self, timeout_s: float, *, keep_lease: bool = False) -> bool:
        assert self._process is not None, "the mirror was started"
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            with contextlib.suppress(OSError):
                os.close(self._pipe)
            self._process = None
            if self._lease is not None and not keep_lease:
                self._lease.release()
                self._lease = None
        return bool(self.state().get("sent"))

    def state(self) -> Mapping[str, Any]:
        """Return what the last mirror left in `tracking.json`; empty where it was killed or never ran."""
        try:
            return read_sealed(self._path / TRACKING)
        except (OSError, ValueError):
            return {}

    def _where(self) -> str:
        state = self.state()
        if not state.get("sent"):
            log = self._path / MIRROR_LOG
            return f"wandb: nothing was recorded, see {log}; the local record is complete"
        if state["mode"] == "online":
            return f"wandb: online as {state['id']}: {state['url']}"
        why = f"{state['note']}; " if state["note"] else ""
        return f"wandb: {why}recorded offline, upload it with: {verb('sync', store=self._store.root)}"
