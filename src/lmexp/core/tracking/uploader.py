"""The mirror process: follows a run's local record and repeats it to wandb.

``python -m lmexp.core.tracking.uploader RUN_DIRECTORY MODE [NOTE]`` reads ``run.json`` and the curves that it
points at until the run has ended (mode `online` or `offline`), or as they stand (mode `sync`). The local
record is the truth: the mirror only ever reads it, so a dead server cannot stop or slow a run, and a
mirror that was killed is made again from the start.

One wandb run stands for one pipeline run; its id is the run's name, with a number behind it where a
curve was computed anew (by `force`, or since it was deleted), so that two curves never mix. Its rows are
the points of all curves in the order of the stages, numbered from 0, so the number of rows that the
server holds says which row comes next: however often the mirror is killed, no row is missing or sent
twice. Everything else (configuration, summary, artifacts, files) has a name or a digest and replaces
itself.

What it sends: the configuration; the points of every stage's curve as ``<stage>/<metric>`` over
``<stage>/step``; at the end all metrics as the summary, tables (`core.tables`), the report's page, and
one artifact for each stage, which refers to the files in the store instead of copying them.
"""

import os
import shutil
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmexp.core.provenance.environment import environment
from lmexp.core.records.runs import PAGE, TRACKING, read_run
from lmexp.core.records.tables import tables_of
from lmexp.core.store.record import read_record
from lmexp.core.tracking.destination import destination_of, recording_id, recording_name
from lmexp.core.values.files import LineFollower, read_lines
from lmexp.core.values.fingerprint import SHORT
from lmexp.core.values.parent import die_with_parent
from lmexp.core.values.redact import redact, redact_values
from lmexp.core.values.sealed import write_sealed
from lmexp.errors import ConfigError

_POLL_S = 0.5
_CONNECT_S = 5.0
_INIT_TIMEOUT_S = 60.0


def main(run_directory: str, mode: str, note: str = "") -> None:
    """Mirror the run, and say in `tracking.json` where it went and whether all of it arrived."""
    die_with_parent()
    path = Path(run_directory)
    data = read_run(path).data
    if mode == "online" and not server_answers():
        mode, note = "offline", "the wandb server did not answer"
    if mode == "offline":
        _drop_recordings(path, "offline-run-*")
    state = {
        "mode": "offline" if mode == "offline" else "online",
        "server": None if mode == "offline" else server(),
        **arrives_as(data),
        "started": data["started"],
        "url": None,
    }
    _appear_as_experiment(data)
    try:
        directory, status, state["url"] = _mirrored(path, data, mode)
    except Exception as error:
        write_sealed(path / TRACKING, {**state, "sent": False, "complete": False, "note": _sentence(error)})
        raise
    if mode != "offline":  # all of it is on the server
        _drop_recordings(path, "*run-*", keep=directory)
        shutil.rmtree(path / "wandb-data", ignore_errors=True)
    complete = status == "done"
    more = {"directory": str(directory), "sent": True, "complete": complete, "note": note}
    write_sealed(path / TRACKING, {**state, **more})


def _appear_as_experiment(data: Mapping[str, Any]) -> None:
    """Let wandb, which reads them, find the experiment's command instead of this process's."""
    words = [str(word) for word in data.get("command") or data["argv"]]
    if words[:2] == ["python", "-m"]:
        words = [f"-m {words[2]}", *words[3:]]
    sys.argv = words
    os.environ["WANDB_PROGRAM"] = words[0]


def arrives_as(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a run's copy on a server, from its `run.json`."""
    place = {key: value for key, value in destination_of(data).items() if key != "mode"}
    return {**place, "id": recording_id(data), "name": recording_name(data)}


def has_key() -> bool:
    """Whether a key for wandb's server is set, in $WANDB_API_KEY or where `wandb login` puts it."""
    return bool(os.environ.get("WANDB_API_KEY")) or _netrc_has_key()


def _netrc_has_key() -> bool:
    import netrc

    host = _url().hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def server() -> str:
    """Return the server's address without a user or a password."""
    url = _url()
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


def _url() -> urllib.parse.ParseResult:
    text = os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai"
    try:
        return urllib.parse.urlparse(text)
    except ValueError:
        raise ConfigError("the value of WANDB_BASE_URL is not an address.") from None


def server_answers() -> bool:
    """Whether the server says anything, within seconds; proxies are used as the environment names them."""
    import ssl
    import urllib.error
    import urllib.request

    if _url().scheme not in ("http", "https"):
        return False
    try:
        urllib.request.urlopen(server(), timeout=_CONNECT_S).close()  # noqa: S310 (the scheme is checked)
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # wandb may be told of other certificates
    except (OSError, ValueError):
        return False
    return True


def default_entity() -> str:
    """Ask the server for the user or team that the key belongs to."""
    import wandb

    return str(wandb.Api().default_entity)


def _drop_recordings(path: Path, pattern: str, keep: Path | None = None) -> None:
    """Remove earlier recordings of this run: the newest holds all of it."""
    for directory in (path / "wandb").glob(pattern):
        if keep is None or directory.name != keep.name:
            shutil.rmtree(directory, ignore_errors=True)


def _sentence(error: Exception) -> str:
    """Return the first line of what went wrong."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def _mirrored(path: Path, data: Mapping[str, Any], mode: str) -> tuple[Path, str, str | None]:
    """Mirror the run to its end; return wandb's directory, the run's status and its address."""
    mirror = _Mirror(path, data, mode)
    status = "failed"
    try:
        status = mirror.follow()
    finally:
        mirror.close(status)
    if mode != "offline":
        mirror.check()
    return mirror.directory, status, mirror.url


class _Mirror:
    """One wandb run that repeats one local run."""

    def __init__(self, path: Path, data: Mapping[str, Any], mode: str) -> None:
        import wandb

        self._path = path
        self._store = path.parents[1]
        self._follows = mode != "sync"
        self._is_online = mode != "offline"
        self._num_rows = 0
        self._sent: dict[str, tuple[int, set[tuple[str, ...]]]] = {}
        self._followers: dict[Path, LineFollower] = {}
        self._artifacts: dict[str, wandb.Artifact] = {}
        self._run: wandb.Run = wandb.init(
            **arrives_as(data),
            job_type=Path(data["config"]["pipeline"]).stem,
            config=redact_values(data["config"]),
            dir=str(path),
            mode="online" if self._is_online else "offline",
            resume="allow",
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_job_creation=True,
                save_code=False,
                init_timeout=_INIT_TIMEOUT_S,
                **self._machine(data),
            ),
        )
        self.url: str | None = redact(self._run.url) if self._run.url else None
        self._on_server = int(self._run.starting_step)
        self.directory = Path(self._run.dir).parent

    def _machine(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return wandb's settings that say what the experiment runs on, and the commit of its code.

        While it runs, wandb measures its processes; afterwards it would measure whoever uploads.
        """
        git = environment()["git"] if self._follows else self._recorded_git(data)
        settings = {
            "host": data["process"]["host"],
            "x_disable_stats": not self._follows,
            "x_stats_pid": data["process"]["pid"],
            "x_stats_track_process_tree": True,
            # an installed lmexp has no commit: then it is the one of the directory that the run was given in
            "disable_git": git is not None or not self._follows,
        }
        return settings | ({"git_commit": git["commit"]} if git else {})

    def _recorded_git(self, data: Mapping[str, Any]) -> dict[str, Any] | None:
        records = [read_record(self._store / entry["artifact"]).data for entry in data["stages"].values()]
        found = [record["environment"]["git"] for record in records if record["environment"]["git"]]
        return found[-1] if found else None

    def follow(self) -> str:
        """Send what grows until the run has ended, then the rest; return the run's status."""
        while True:
            data = read_run(self._path).data
            for name, file in self._curves(data):
                self._send(name, file)
            status = str(data["status"])
            if status != "running" or not self._follows:
                status = "killed" if status == "running" else status
                self._send_end(data, status)
                return status
            time.sleep(_POLL_S)

    def close(self, status: str) -> None:
        """Finish the wandb run, as a success or as a failure."""
        self._run.finish(exit_code=0 if status == "done" else 1)

    def check(self) -> None:
        """Ask the server for its rows and wandb's log for files: wandb itself is silent about refusals."""
        import wandb

        found = int(wandb.Api().run(self._run.path).historyLineCount)
        if found < self._num_rows:
            raise ValueError(f"the server holds {found} of {self._num_rows} rows")
        refused = [
            entry
            for entry in read_lines(self.directory / "logs" / "debug-internal.log")
            if entry.get("level") == "ERROR" and "failed to upload" in str(entry.get("msg"))
        ]
        if refused:
            raise ValueError(f"the server refused {len(refused)} of its files")

    def _curves(self, data: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
        for name, entry in data["stages"].items():
            yield name, self._store / entry["artifact"] / "metrics.jsonl"
        if data["current"] is not None:
            yield data["current"]["name"], self._store / data["current"]["metrics_file"]

    def _send(self, name: str, file: Path) -> None:
        """Send the new points of a curve; the same curve may come from several files, one after another."""
        for point in self._followers.setdefault(file, LineFollower(file)).new():
            step, keys = point.get("step"), tuple(sorted(point))
            if not isinstance(step, int):
                continue
            if name not in self._sent:
                self._run.define_metric(f"{name}/step")
                self._run.define_metric(f"{name}/*", step_metric=f"{name}/step")
            last, seen = self._sent.get(name, (step - 1, set()))
            if step < last or (step == last and keys in seen):
                continue
            self._sent[name] = (step, {*seen, keys} if step == last else {keys})
            row = {f"{name}/{key}": value for key, value in point.items() if key != "time"}
            self._send_row({**row, "_timestamp": point["time"]} if "time" in point else row)

    def _send_row(self, row: Mapping[str, Any]) -> None:
        """Send the row unless the server has it: it holds those before `_on_server`."""
        if self._num_rows >= self._on_server:
            self._run.log(dict(row), step=self._num_rows, commit=True)
        self._num_rows += 1

    def _send_end(self, data: Mapping[str, Any], status: str) -> None:
        import wandb

        for name, entry in data["stages"].items():
            self._send_artifact(name, entry)
        media: dict[str, Any] = {
            f"tables/{table.name}": wandb.Table([*table.columns], table.rows, allow_mixed_types=True)
            for table in tables_of(data, self._store)
        }
        report = self._path / PAGE
        if report.is_file():
            media["report"] = wandb.Html(report.read_text(encoding="utf-8"), inject=False)
        # The files go with the summary, which is sent each time; the row of a finished run refers to
        # them, so that a row which arrived before its files were whole is mended by the next mirror.
        self._run.summary.update({**data["metrics"], "status": status, **media})
        if status == "done":
            self._send_row(media)

    def _send_artifact(self, name: str, entry: Mapping[str, Any]) -> None:
        """Log what a stage made, and on a server say from what: its inputs, or itself where it was reused.

        wandb's lineage is drawn from that; a recording offline cannot hold it, the later upload does.
        """
        import wandb

        path = self._store / entry["artifact"]
        record = read_record(path).data
        is_reused = entry["action"] == "reused"
        metadata = {
            "fingerprint": record["fingerprint"],
            "inputs": {key: entry["fingerprint"] for key, entry in record["inputs"].items()},
            "identity": redact_values(record["identity"]),
            "metrics": record["metrics"],
            "files": {key: entry["sha256"] for key, entry in record["files"].items()},
        }

        def log(collection: str) -> wandb.Artifact:
            artifact = wandb.Artifact(name=collection, type=record["stage"], metadata=metadata)
            artifact.add_reference(path.as_uri(), name=name, checksum=False)
            send = self._run.use_artifact if is_reused and self._is_online else self._run.log_artifact
            return send(artifact, aliases=[record["fingerprint"][:SHORT]])

        sources = [source["fingerprint"] for source in record["inputs"].values()]
        for fingerprint in [] if is_reused else sources:
            if fingerprint in self._artifacts:
                self._run.use_artifact(self._artifacts[fingerprint])
        try:
            logged = log(name)
        except ValueError:  # another pipeline of this project gave the name to another stage's artifacts
            logged = log(f"{name}-{record['stage']}")
        if self._is_online:
            self._artifacts[entry["fingerprint"]] = logged.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
