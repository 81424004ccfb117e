"""The mirror process: follows a run's local record and repeats it to wandb.

``python -m lmexp.core.tracking RUN_DIRECTORY MODE`` reads ``run.json`` and the curves that it points at
until the run has ended. The local record is the truth: the mirror only ever reads it, so a dead
server cannot stop or slow a run, and a mirror that was killed is made again from the start. One
wandb run stands for one pipeline run; its id is the run's name, so that repeating is idempotent.

What it sends: the configuration; the points of every stage's curve as ``<stage>/<metric>`` over
``<stage>/step``; at the end all metrics as the summary, two tables, and one artifact for each
stage, which refers to the files in the store instead of copying them.
"""

import os
import shutil
import socket
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmexp.core.files import LineFollower, read_json, write_json
from lmexp.core.fingerprint import SHORT
from lmexp.core.worker import die_with_parent

_POLL_S = 0.5
_CONNECT_S = 3.0
STATE = "tracking.json"


def main(run_directory: str, mode: str) -> None:
    """Mirror the run until it ends, and say in `tracking.json` where it went."""
    die_with_parent()
    path = Path(run_directory)
    data = read_json(path / "run.json")
    settings = data["config"]["tracking"]
    note = ""
    if mode == "online" and not _server_answers():
        mode, note = "offline", "the wandb server did not answer"
    if mode == "offline":
        _drop_superseded(path, data["run"])
    mirror = _Mirror(path, data, settings, mode)
    try:
        mirror.follow()
    finally:
        directory = mirror.close()
    complete = read_json(path / "run.json")["status"] == "done"
    state = {
        "mode": mode,
        "id": data["run"],
        "group": data["group"],
        "directory": str(directory),
        "note": note,
        "complete": complete,
    }
    write_json(path / STATE, state)


def resolve_mode(mode: str) -> str:
    """Return off, offline or online; `auto` is online where a wandb key is set."""
    if mode != "auto":
        return mode
    return "online" if os.environ.get("WANDB_API_KEY") or _netrc_has_key() else "offline"


def _netrc_has_key() -> bool:
    import netrc

    host = urllib.parse.urlparse(_base_url()).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _base_url() -> str:
    return os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"


def _server_answers() -> bool:
    url = urllib.parse.urlparse(_base_url())
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname or "", port), timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True


def _drop_superseded(path: Path, run: str) -> None:
    """Remove earlier offline recordings of this run: the one that follows holds all of it."""
    for directory in (path / "wandb").glob(f"offline-run-*-{run}"):
        shutil.rmtree(directory, ignore_errors=True)


class _Mirror:
    """One wandb run that repeats one local run."""

    def __init__(self, path: Path, data: Mapping[str, Any], settings: Mapping[str, Any], mode: str) -> None:
        import wandb

        self._path = path
        self._store = path.parents[1]
        self._sent: dict[str, int] = {}
        self._followers: dict[Path, LineFollower] = {}
        self._run: wandb.Run = wandb.init(
            project=settings["project"],
            entity=settings["entity"],
            id=data["run"],
            name=data["run"],
            group=data["group"],
            job_type=Path(data["config"]["pipeline"]).stem,
            tags=[data["experiment"]],
            config=data["config"],
            dir=str(path),
            mode=mode,  # type: ignore[arg-type]
            resume="allow",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
            ),
        )

    def follow(self) -> None:
        """Send what grows until the run has ended, then the rest."""
        while True:
            data = read_json(self._path / "run.json")
            for name, file in self._curves(data):
                self._send(name, file)
            if data["status"] != "running":
                self._send_end(data)
                return
            time.sleep(_POLL_S)

    def close(self) -> Path:
        """Finish the wandb run and return its directory."""
        directory = Path(self._run.dir).parent
        self._run.finish()
        return directory

    def _curves(self, data: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
        for name, entry in data["stages"].items():
            yield name, self._store / entry["artifact"] / "metrics.jsonl"
        if data["current"] is not None:
            yield data["current"]["name"], self._store / data["current"]["metrics_file"]

    def _send(self, name: str, file: Path) -> None:
        for point in self._followers.setdefault(file, LineFollower(file)).new():
            step = point.get("step")
            if not isinstance(step, int) or step <= self._sent.get(name, -1):
                continue
            if name not in self._sent:
                self._run.define_metric(f"{name}/step")
                self._run.define_metric(f"{name}/*", step_metric=f"{name}/step")
                if self._run.resumed:
                    self._sent[name] = int(dict(self._run.summary).get(f"{name}/step", -1))
                    if step <= self._sent[name]:
                        continue
            self._sent[name] = step
            self._run.log({f"{name}/{key}": value for key, value in point.items()})

    def _send_end(self, data: Mapping[str, Any]) -> None:
        import wandb

        self._run.summary.update(data["metrics"])
        self._run.summary.update({"status": data["status"]})
        stages = wandb.Table(columns=["stage", "action", "seconds", "world_size", "fingerprint"])
        for name, entry in data["stages"].items():
            stages.add_data(
                name, entry["action"], entry["seconds"], entry["world_size"], entry["fingerprint"][:SHORT]
            )
            self._send_artifact(name, self._store / entry["artifact"])
        metrics = wandb.Table(columns=["metric", "value"])
        for key, value in data["metrics"].items():
            metrics.add_data(key, float(value))
        self._run.log({"tables/stages": stages, "tables/metrics": metrics})

    def _send_artifact(self, name: str, path: Path) -> None:
        import wandb

        record = read_json(path / "artifact.json")
        artifact = wandb.Artifact(
            name=name,
            type=record["stage"],
            metadata={
                "fingerprint": record["fingerprint"],
                "inputs": {key: entry["fingerprint"] for key, entry in record["inputs"].items()},
                "identity": record["identity"],
                "metrics": record["metrics"],
                "files": {key: entry["sha256"] for key, entry in record["files"].items()},
            },
        )
        artifact.add_reference(path.as_uri(), name=name, checksum=False)
        self._run.log_artifact(artifact, aliases=[record["fingerprint"][:SHORT]])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
