"""Uploads what ran offline: the local record of each run is replayed to wandb, oldest first.

The record is the truth and the replay continues where the server's copy ends (see `core.tracking`),
so this may be interrupted at any moment and given again. `tracking.json` beside the record says what has
arrived where; a run that arrived whole is not sent again.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmexp.core.records.runs import Run, find_run, list_runs
from lmexp.core.store.store import Store
from lmexp.core.tracking.destination import destination_of, refuse_offline
from lmexp.core.tracking.mirror import Mirror
from lmexp.core.tracking.uploader import arrives_as, has_key, server, server_answers
from lmexp.errors import ConfigError, LmexpError

TIMEOUT_S = 600.0
"""Longest time that one run may take to upload."""


@dataclasses.dataclass(frozen=True)
class Synced:
    """What became of one run: `uploaded`, `unchanged` (it was there), `running` (not yet) or `failed`."""

    run: str
    outcome: str
    reason: str = ""


def sync(store: Store, names: Sequence[str] = (), *, timeout_s: float = TIMEOUT_S) -> Iterator[Synced]:
    """Upload the named runs, or all whose tracking was not off, in the order in which they started.

    Errors: `ConfigError` for an unknown run or no key, `LmexpError` where no server answers; runs
    that were yielded before stay uploaded.
    """
    runs = {run.name: run for run in (find_run(store, name) for name in names)}
    chosen = [run for run in list_runs(store) if (run.name in runs if names else _is_tracked(run))]
    for run in chosen:
        mirror = Mirror(store, run, timeout_s, mode="online")
        if run.status == "running":
            yield Synced(run.name, "running")
        elif _is_uploaded(run, mirror.state()):
            yield Synced(run.name, "unchanged")
        else:
            _require_server()
            reason = _missing(run) or mirror.upload(timeout_s)
            yield Synced(run.name, "failed" if reason else "uploaded", reason)


def _is_tracked(run: Run) -> bool:
    return bool(destination_of(run.data)["mode"] != "off")


def _is_uploaded(run: Run, state: Mapping[str, Any]) -> bool:
    """Whether all that the record holds is on this server; a run that was not done may have gone on."""
    wanted = {"mode": "online", "server": server(), "sent": True, **arrives_as(run.data)}
    if any(state.get(key) != value for key, value in wanted.items()):
        return False
    return bool(state["complete"] or state["started"] == run.data["started"])


def _require_server() -> None:
    refuse_offline(os.environ)
    if not has_key():
        raise ConfigError("no wandb key is set; give `wandb login` once, or set WANDB_API_KEY.")
    if not server_answers():
        raise LmexpError(f"the wandb server {server()} does not answer; give the command again when it does.")


def _missing(run: Run) -> str:
    lost = run.lost_artifact
    return "" if lost is None else f"{lost} is no longer in the store; run its experiment again"
