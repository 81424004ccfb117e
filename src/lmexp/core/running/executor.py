"""The local executor: computes the stages of a plan, one after another, each under its lease.

For every stage: reuse what is published; else acquire the lease, look again, compute in a child and
publish. While another process holds the lease, wait and reuse what it publishes. A stage that was
killed goes on from its newest checkpoint. Nothing here imports what a stage needs.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from lmexp.core.graph.extensions import extensions_record
from lmexp.core.graph.foresight import foresee
from lmexp.core.graph.plan import Plan, PlannedStage
from lmexp.core.graph.stage import registered_stage
from lmexp.core.provenance.drift import code_record
from lmexp.core.provenance.environment import environment
from lmexp.core.records.runs import now
from lmexp.core.running.launch import Outcome, run_child
from lmexp.core.store.attempt import end_segment, link_or_copy, new_attempt, remove_attempts
from lmexp.core.store.disk import disk_full, is_full
from lmexp.core.store.lease import Lease, Waiter, holder, last_holder
from lmexp.core.store.record import Record
from lmexp.core.store.store import Store
from lmexp.core.values.config import to_dict
from lmexp.core.values.files import read_json
from lmexp.core.values.redact import redact_words
from lmexp.core.values.settings import ExecutorConfig
from lmexp.core.values.variables import child_environment, recorded
from lmexp.errors import (
    DataError,
    Diverged,
    Interrupted,
    LeaseLost,
    LmexpError,
    StageError,
)

_WAIT_POLL_S = 0.2


class Observer(Protocol):
    """Is told of what happens, as it happens."""

    def waiting(self, name: str, who: Mapping[str, Any]) -> None:
        """Another process computes the stage."""

    def started(self, name: str, attempt: Path, from_step: int | None) -> None:
        """The stage's child starts."""

    def tick(self) -> None:
        """The child still runs; called many times a second."""

    def lost(self, message: str) -> None:
        """Another process has taken a stage over; its result is waited for."""

    def finished(self, name: str, record: Record, action: str) -> None:
        """The stage's artifact is published; `action` is ran, resumed or reused."""


def execute(plan: Plan, store: Store, config: ExecutorConfig, observer: Observer) -> dict[str, Record]:
    """Make every artifact of the plan exist and return the records by handle name.

    Errors: `Interrupted` after SIGINT, SIGTERM or SIGHUP; `StageError`, `DataError` or `ConfigError`
    as a stage, or its `check_inputs`, reports it; `StoreError` for a full disk; `VerificationError` for
    a damaged artifact.
    """
    records: dict[str, Record] = {}
    with _Signals() as signals:
        for planned in plan.stages:
            records[planned.name] = _Computation(
                planned, records, store=store, config=config, observer=observer, signals=signals
            ).run()
            foresee(plan, store, records)
    store.hasher.save()
    store.code.save()
    return records


class _Computation:
    """Brings one artifact into being."""

    def __init__(
        self,
        planned: PlannedStage,
        records: Mapping[str, Record],
        *,
        store: Store,
        config: ExecutorConfig,
        observer: Observer,
        signals: "_Signals",
    ) -> None:
        self.planned = planned
        self.inputs = {key: records[source] for key, source in planned.inputs.items()}
        self.store = store
        self.config = config
        self.observer = observer
        self.signals = signals

    def run(self) -> Record:
        """Reuse, wait for or compute the artifact."""
        waiter = Waiter(self.store.leases(self.planned.fingerprint), self.config.stale_after_s)
        told = False
        while True:
            self.signals.check()
            if not self.planned.force and (record := self._published()) is not None:
                self.store.require_intact(record, self.planned.name)
                self.observer.finished(self.planned.name, record, "reused")
                return record
            lease = waiter.try_acquire()
            if lease is None:
                if not told:
                    who = holder(self.store.leases(self.planned.fingerprint)) or {}
                    self.observer.waiting(self.planned.name, who)
                    told = True
                time.sleep(_WAIT_POLL_S)
                continue
            try:
                with _released(lease):
                    if self.planned.force:
                        stage = self.planned.handle.stage.name
                        self.store.discard_damaged(stage, self.planned.fingerprint)
                    elif self._published() is not None:
                        continue
                    return self._compute(lease)
            except LeaseLost as error:  # somebody else has gone on: wait for what comes of it
                self.observer.lost(str(error))
                told = True

    def _published(self) -> Record | None:
        stage = self.planned.handle.stage.name
        return self.store.find(stage, self.planned.fingerprint, self.planned.name)

    def _compute(self, lease: Lease) -> Record:
        """Compute and publish. Errors: `LeaseLost` whatever failed, where that is why."""
        try:
            return self._compute_while_held(lease)
        except Exception as error:
            if lease.lost and not isinstance(error, Interrupted | LeaseLost):
                raise self._lost() from error
            raise

    def _require(self, lease: Lease) -> None:
        if lease.lost:
            raise self._lost()

    def _lost(self) -> LeaseLost:
        who = last_holder(self.store.leases(self.planned.fingerprint))
        return LeaseLost(
            f"{self.planned.name} was taken over by process {who['pid']} on {who['host']}, since this one "
            f"had shown no heartbeat for {self.config.stale_after_s:g} s (it was paused, or the disk stood "
            f"still); nothing is lost, and this run waits for what becomes of it."
        )

    def _compute_while_held(self, lease: Lease) -> Record:
        for key, record in self.inputs.items():
            self.store.require_intact(record, self.planned.inputs[key])
        handle, scratch = self.planned.handle, self.store.scratch(self.planned.fingerprint)
        world_size = handle.num_ranks
        threads = max(1, self.config.threads // world_size)
        variables = child_environment(os.environ, threads=threads, own=self.config.environment)
        segment = {
            "started": now(),
            "world_size": world_size,
            "threads": threads,
            "config": to_dict(handle.config),
            "environment": environment(),
            "variables": recorded(variables),
            "own_variables": list(self.config.environment),
        }
        attempt, from_step = new_attempt(scratch, lease.generation, segment)
        self.observer.started(self.planned.name, attempt, from_step)
        started, began, clock = segment["started"], time.time(), time.monotonic()
        outcome = run_child(
            self._spec(attempt, world_size),
            environment=variables,
            can_stop=handle.stage.resumes,
            grace_s=self.config.stop_grace_s,
            tick=lambda: self._tick(lease),
        )
        with contextlib.suppress(OSError):  # what it cost may be lost, what it made may not
            end_segment(attempt, seconds=time.monotonic() - clock, cpu_seconds=outcome.cpu_seconds)
        self._require(lease)
        self._raise_unless_complete(outcome, attempt)
        if (attempt / "metrics.jsonl").exists():  # a second name: were we killed now, the curve is needed
            link_or_copy(attempt / "metrics.jsonl", attempt / "out" / "metrics.jsonl")
        segments = read_json(attempt / "segments.json")
        record = self.store.publish(
            attempt / "out",
            {
                "stage": handle.stage.name,
                "version": handle.stage.version,
                **({} if self.planned.code is None else {"own_code": list(self.planned.code)}),
                **(
                    {"extensions": extensions_record(extensions)}
                    if (extensions := self.planned.extensions)
                    else {}
                ),
                "label": handle.label,
                "fingerprint": self.planned.fingerprint,
                "status": "complete",
                "identity": handle.identity(),
                "config": to_dict(handle.config),
                "content": dict(self.planned.content),
                "inputs": {key: self._input_entry(record) for key, record in self.inputs.items()},
                "read": outcome.result["read"],
                "metrics": outcome.result["metrics"],
                "world_size": outcome.result["world_size"],
                "started": started,
                "finished": now(),
                "seconds": round(sum(s.get("seconds", 0.0) for s in segments), 3),
                "cpu_seconds": round(sum(s.get("cpu_seconds", 0.0) for s in segments), 3),
                "segments": segments,
                "environment": environment(),
                "code": self._code(outcome, began),
                "argv": redact_words(sys.argv),
            },
            replaces=self._published() if self.planned.force else None,
            check=lambda: self._require(lease),
        )
        remove_attempts(scratch, below=lease.generation + 1)
        self.observer.finished(self.planned.name, record, "ran" if from_step is None else "resumed")
        return record

    def _input_entry(self, record: Record) -> dict[str, str]:
        return {
            "stage": record.stage,
            "fingerprint": record.fingerprint,
            "path": record.path.relative_to(self.store.root).as_posix(),
        }

    def _code(self, outcome: Outcome, began: float) -> dict[str, Any]:
        module = self.planned.handle.stage.function.__module__
        return code_record(module, outcome.result["modules"], began, self.store.code)

    def _spec(self, attempt: Path, world_size: int) -> dict[str, Any]:
        stage = registered_stage(self.planned.handle.stage.name)
        return {
            "stage": stage.name,
            "provider": stage.provider,
            "code": self.planned.code,
            "extensions": [str(path) for path in self.planned.handle.extensions],
            "extensions_code": extensions_record(self.planned.extensions),
            "attempt": str(attempt),
            "cache": str(self.store.cache),
            "config": to_dict(self.planned.handle.config),
            "content": dict(self.planned.content),
            "inputs": {key: {"path": str(record.path)} for key, record in self.inputs.items()},
            "world_size": world_size,
        }

    def _tick(self, lease: Lease) -> Literal["go", "stop", "kill"]:
        self.observer.tick()
        if self.signals.count > 1 or lease.lost:
            return "kill"
        return "stop" if self.signals.count else "go"

    def _raise_unless_complete(self, outcome: Outcome, attempt: Path) -> None:
        name = self.planned.name
        if outcome.status == "complete":
            return
        if outcome.status in ("stopped", "killed"):
            resumes = self.planned.handle.stage.resumes
            then = "goes on from there" if resumes else f"begins {name} again and keeps what came before it"
            raise Interrupted(f"stopped in {name}; the same command {then}.")
        if outcome.status == "disk_full" or is_full(self.store.root):
            raise disk_full(self.store.root)
        if self.signals.count:  # it was asked to stop: the points of a sweep that follow do not start
            raise Interrupted(f"stopped in {name}, which ended with: {outcome.message}")
        kind: type[LmexpError] = DataError if outcome.exit_code == 2 else StageError
        if outcome.type == Diverged.__name__:
            kind = Diverged
        error = kind(f"{name}: {outcome.message}")
        if outcome.traceback:
            error.add_note(outcome.traceback)
        error.log = attempt / "log.txt"  # type: ignore[attr-defined]
        raise error


class _Signals:
    """Counts requests to stop; installed in the main thread only."""

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "_Signals":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                nohup = number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
                if not nohup:
                    self._before[number] = signal.signal(number, self._count)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _count(self, *_: object) -> None:
        self.count += 1

    def check(self) -> None:
        """Raise `Interrupted` if a stop was requested."""
        if self.count:
            raise Interrupted("stopped between two stages; the same command goes on from there.")


@contextlib.contextmanager
def _released(lease: Lease) -> Iterator[None]:
    try:
        yield
    finally:
        lease.release()
