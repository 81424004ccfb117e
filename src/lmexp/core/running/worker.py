"""The child process that runs one stage from a frozen spec: ``python -m lmexp.core.running.worker SPEC``.

The parent writes the spec, starts this module and never imports what the stage needs. Where the
spec asks for several ranks, the first process becomes the agent of ``torch.distributed.run``, whose
children are this module again, one a rank. Every process dies with its parent, also when that is
killed: each asks the kernel for it (PR_SET_PDEATHSIG) and, off Linux, the first one also watches a
pipe that only the parent holds open.

The outcome is told by files beside the spec (``result.json``, or ``error-<rank>.json``) and by the
exit code; a full disk, on which no file can be written, has an exit code of its own.
"""

import contextlib
import errno
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lmexp.core.graph.extensions import activate, extended, extensions_record
from lmexp.core.graph.loading import load_provider
from lmexp.core.graph.stage import StageRun, registered_stage
from lmexp.core.provenance.own import is_own
from lmexp.core.running.entry import expected
from lmexp.core.store.disk import is_disk_full
from lmexp.core.store.reading import parts_read
from lmexp.core.values.config import build
from lmexp.core.values.files import append_line, read_json, write_json
from lmexp.core.values.parent import PARENT_PID, PARENT_PIPE, die_with_parent
from lmexp.core.values.terminal import open_closed_streams, printable
from lmexp.errors import ConfigError, LmexpError, StageError

EXIT_DISK_FULL = 28
"""The number of ENOSPC: the stage failed since the disk is full."""

OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Containers that a stage makes before Python looks for garbage among them; its own default is 700.

Most of them are what libraries make while they are imported, and none of that is garbage: collections took an
eighth of the CPU seconds in which a process that trains imports what it needs.
"""

_SPEC_KEYS = (
    "stage",
    "provider",
    "code",
    "extensions",
    "extensions_code",
    "attempt",
    "cache",
    "config",
    "content",
    "inputs",
    "world_size",
)


def main(words: Sequence[str]) -> NoReturn:
    """Run the stage that the spec named by the only word describes, and leave the process."""
    open_closed_streams()
    die_with_parent()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    try:
        spec_path, spec = _read_spec(words)
    except ConfigError as error:
        sys.stderr.write(f"lmexp: {printable(str(error))}\n")
        sys.stderr.flush()
        os._exit(error.exit_code)
    rank = int(os.environ.get("RANK", "0"))
    is_agent = spec["world_size"] > 1 and "RANK" not in os.environ
    code = 1
    try:
        if is_agent:
            _run_agent(spec, spec_path)
        else:
            _run_stage(spec, rank)
        code = 0
    except BaseException as error:  # the process ends here, whatever it was
        code = _report(error, Path(spec["attempt"]), "agent" if is_agent else str(rank))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # gloo's threads abort an ordinary exit now and then


def _read_spec(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the path of the spec and what it says. Errors: `ConfigError`."""
    if len(words) != 1:
        raise ConfigError("lmexp.core.running.worker takes the path of one spec, which lmexp.run writes.")
    try:
        spec = read_json(Path(words[0]))
    except OSError as error:
        raise ConfigError(f"the spec {words[0]} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise ConfigError(f"the spec {words[0]} is not JSON ({error}).") from None
    missing = [key for key in _SPEC_KEYS if not isinstance(spec, dict) or key not in spec]
    if missing:
        raise ConfigError(f"the spec {words[0]} must be an object with {', '.join(missing)}.")
    return words[0], spec


def _run_stage(spec: Mapping[str, Any], rank: int) -> None:
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size != spec["world_size"]:
        raise StageError(f"{spec['world_size']} ranks were asked for, but {world_size} were started.")
    activate(spec["extensions"])
    load_provider(spec["provider"])
    stage = registered_stage(spec["stage"])
    if spec["code"] != stage.code():
        raise _edited()
    provided = _loaded()
    attempt = Path(spec["attempt"])
    config = build(stage.config_class, spec["config"])
    if spec["extensions_code"] != extensions_record(extended(config)):
        raise _edited()
    inputs = {name: stage.inputs[name](Path(entry["path"])) for name, entry in spec["inputs"].items()}
    run = StageRun(
        out=attempt / "out",
        work=attempt / "work",
        log=_logger(attempt / "metrics.jsonl"),
        say=_sayer(attempt / "said.jsonl") if rank == 0 else lambda _text: None,
        note=_noter(attempt / "choices.jsonl") if rank == 0 else lambda _name, _choice: None,
        should_stop=lambda: os.path.exists(attempt / "stop"),
        cache=Path(spec["cache"]),
        content=spec["content"],
        rank=rank,
        world_size=world_size,
    )
    metrics = stage.function(run, config, **inputs)
    if rank == 0:
        stopped = stage.resumes and run.should_stop() and metrics.get("stopped", 0) == 1
        result = {
            "status": "stopped" if stopped else "complete",
            # a stage that stopped early may not have measured anything yet
            "metrics": {} if stopped else {k: v for k, v in metrics.items() if k != "stopped"},
            "world_size": world_size,
            "read": {name: parts_read(artifact.path) for name, artifact in inputs.items()},
            "modules": {"provided": provided, "loaded": _loaded()},
        }
        write_json(attempt / "result.json", result)


def _edited() -> StageError:
    return StageError("its code was edited after it was planned; give the same command again.")


def _loaded() -> dict[str, str]:
    """Return the file of each module of lmexp's and of the user's own that this process has imported."""
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.copy().items()}
    return {
        name: str(file)
        for name, file in files.items()
        if name != "__main__" and (name.partition(".")[0] == "lmexp" or is_own(file)) and file is not None
    }


def _run_agent(spec: Mapping[str, Any], spec_path: str) -> None:
    """Start one process a rank and wait for them all.

    Errors: `StageError` naming the first rank that failed and how.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as run_ranks

    os.environ[PARENT_PID] = str(os.getpid())
    os.environ.pop(PARENT_PIPE, None)
    arguments = ["--standalone", f"--nproc-per-node={spec['world_size']}", "--max-restarts=0"]
    try:
        run_ranks([*arguments, "-m", "lmexp.core.running.worker", spec_path])
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode == EXIT_DISK_FULL:
            raise OSError(errno.ENOSPC, "no space left on device") from None
        how = describe_exit(failure.exitcode)
        raise StageError(f"rank {rank} of {spec['world_size']} {how}.") from None


def describe_exit(code: int) -> str:
    """Return how a process ended, as the end of a sentence."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    memory = " (often the system was out of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{memory}"


def _logger(path: Path) -> Callable[[Mapping[str, Any]], None]:
    def log(point: Mapping[str, Any]) -> None:
        append_line(path, {"time": round(time.time(), 3), **point})

    return log


def _sayer(path: Path) -> Callable[[str], None]:
    def say(text: str) -> None:
        append_line(path, {"text": text})

    return say


def _noter(path: Path) -> Callable[[str, str], None]:
    def note(name: str, choice: str) -> None:
        append_line(path, {"name": name, "choice": choice})

    return note


def _report(error: BaseException, attempt: Path, who: str) -> int:
    """Write what went wrong for the parent; return the exit code."""
    text = "".join(traceback.format_exception(error))
    full = is_disk_full(error)
    if isinstance(error, RecursionError | UnicodeEncodeError):
        with contextlib.suppress(type(error)):
            error = expected(error)
    message = str(error) if isinstance(error, LmexpError) else _crash(error)
    sys.stderr.write(f"lmexp: {printable(message)}\n" if isinstance(error, LmexpError) else text)
    entry = {
        "message": message,
        "type": type(error).__name__,
        "exit_code": getattr(error, "exit_code", 1),
        "expected": isinstance(error, LmexpError),
        "traceback": text,
        "time": time.time(),
    }
    with contextlib.suppress(OSError):
        write_json(attempt / f"error-{who}.json", entry)
    return EXIT_DISK_FULL if full else int(getattr(error, "exit_code", 1))


def _crash(error: BaseException) -> str:
    """Return an unforeseen error in a line, with the last place in the user's own code that it came by."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(frame.filename)]
    place = f"{own[-1].filename}:{own[-1].lineno}: " if own else ""
    return f"{place}{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(sys.argv[1:])
