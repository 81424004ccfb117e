"""Keeps a sweep's record through Hydra's callbacks, which see each point wherever it is run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmexp.core.records.sweeps import note_point, note_sweep
from lmexp.core.store.store import Store


class SweepRecorder:
    """Hydra's callback that keeps a sweep's record, in whichever process a point is run.

    Hydra makes one from the configuration, `hydra.callbacks`, and tells it of the sweep's beginning and of
    the end of each job, also of one that failed before it came to lmexp.
    """

    def __init__(self, *, store: str, group: str, command: Sequence[str], num_points: int) -> None:
        self._store = Store(Path(store))
        self._group = group
        self._command = list(command)
        self._num_points = num_points

    def on_multirun_start(self, **_: Any) -> None:
        """Write what the sweep is."""
        note_sweep(self._store, self._group, command=self._command, num_points=self._num_points)

    def on_job_end(self, config: Any, job_return: Any, **_: Any) -> None:
        """Write how a point ended: with the exit code that its task returned, or else as a failure."""
        code = getattr(job_return, "_return_value", None)
        note_point(
            self._store,
            self._group,
            index=int(config.hydra.job.num),
            overrides=list(config.hydra.overrides.task),
            run=None,
            exit_code=code if isinstance(code, int) else 1,
        )

    def on_run_start(self, **_: Any) -> None:
        """Nothing: a sweep is no single run."""

    on_run_end = on_multirun_end = on_job_start = on_run_start
