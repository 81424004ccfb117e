"""The ``lmexp`` command: everything that reads what runs left behind.

Every verb takes ``store=PATH`` among its words (default: $LMEXP_STORE, else ``outputs`` here) and
has the exit codes of ``python -m lmexp.run``. Nothing here imports torch; what a verb needs is
imported when it is given.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmexp.core.settings import absolute_store, default_store
from lmexp.errors import ConfigError, LmexpError, nearest

if TYPE_CHECKING:
    from lmexp.core.compose import Composition
    from lmexp.core.store import Record, Store


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    parser = _parser()
    arguments, unknown = parser.parse_known_intermixed_args(sys.argv[1:] if argv is None else list(argv))
    try:
        if unknown:
            known = [o for a in parser._actions for o in a.option_strings]
            raise ConfigError(f"{unknown[0]} is not an option{nearest(unknown[0], known)}; see lmexp --help.")
        if arguments.verb is None:
            parser.print_help()
            return 0
        return int(_verb(arguments.verb)(arguments))
    except LmexpError as error:
        print(f"lmexp: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except OSError as error:
        print(f"lmexp: {error.filename or 'the store'}: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 75


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {name:8} {(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="lmexp",
        description="Read what runs of `python -m lmexp.run` left behind.",
        epilog=f"verbs:\n{verbs}\n\nRUN is a name, a unique prefix of one, or `last`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("verb", nargs="?", help="what to do")
    parser.add_argument("words", nargs="*", help="names or overrides, and store=PATH")
    parser.add_argument("--json", action="store_true", help="print JSON (plan, ls, show, verify, gc)")
    parser.add_argument("--config-dir", metavar="DIR", help="your own configs (plan, why)")
    parser.add_argument("--config-name", metavar="NAME", default="config", help="primary config (plan, why)")
    parser.add_argument("--pipeline", metavar="FILE", help="the file that defines your own stages (replay)")
    parser.add_argument("--prompt", metavar="TEXT", default="", help="what to continue (generate)")
    parser.add_argument("--keep", metavar="RUN", action="append", default=[], help="keep this run only (gc)")
    parser.add_argument("--delete", action="store_true", help="really delete (gc)")
    return parser


def _verb(name: str) -> Callable[[argparse.Namespace], int]:
    if name not in VERBS:
        raise ConfigError(f"{name!r} is not a verb{nearest(name, VERBS)}; known: {', '.join(VERBS)}.")
    return VERBS[name]


def _split_store(words: Sequence[str]) -> tuple[list[str], "Store"]:
    """Return the words without ``store=PATH``, and that store, which must exist."""
    from lmexp.core.store import Store

    chosen = [w.partition("=")[2] for w in words if w.startswith("store=")]
    rest = [w for w in words if not w.startswith("store=")]
    if chosen and not chosen[-1]:
        raise ConfigError("store= names no directory; write store=PATH.")
    store = Store(absolute_store(chosen[-1] if chosen else default_store()))
    store.require()
    return rest, store


def _composed(arguments: argparse.Namespace) -> "tuple[Composition, Store]":
    from lmexp.core.compose import compose
    from lmexp.core.store import Store

    composition = compose(arguments.words, config_name=arguments.config_name, config_dir=arguments.config_dir)
    return composition, Store(composition.store)


def plan(arguments: argparse.Namespace) -> int:
    """OVERRIDES: what a run would reuse and compute, and why"""
    from lmexp.core.console import plan_lines
    from lmexp.core.runs import run_name
    from lmexp.core.session import plan_of

    composition, store = _composed(arguments)
    planned = plan_of(composition, store)
    verdicts = planned.verdicts(store)
    name = run_name(composition.experiment, planned)
    if arguments.json:
        stages = {
            s.name: {
                "stage": s.handle.stage.name,
                "fingerprint": s.fingerprint,
                "action": verdicts[s.name].action,
                "reason": verdicts[s.name].reason,
                "world_size": s.handle.num_ranks,
            }
            for s in planned.stages
        }
        _print_json({"run": name, "store": str(store.root), "stages": stages})
        return 0
    print(f"run {name} in {store.runs / name}")
    print("\n".join(plan_lines(planned, verdicts)))
    return 0


def why(arguments: argparse.Namespace) -> int:
    """OVERRIDES: what each changed key re-runs, against the nearest earlier run"""
    from lmexp.core.compose import handles_of
    from lmexp.core.why import explain

    composition, store = _composed(arguments)
    print("\n".join(explain(composition.config, store, handles_of)))
    return 0


def ls(arguments: argparse.Namespace) -> int:
    """the runs and artifacts of a store"""
    from lmexp.core.runs import list_runs

    words, store = _split_store(arguments.words)
    _no_more(words)
    runs = [
        {"run": r.name, "experiment": r.data["experiment"], "status": r.status, "started": r.data["started"]}
        for r in list_runs(store)
    ]
    artifacts = [
        {
            "stage": r.stage,
            "name": r.name,
            "fingerprint": r.fingerprint,
            "path": r.path.relative_to(store.root).as_posix(),
            "bytes": r.num_bytes,
            "finished": r.data["finished"],
        }
        for r in store.records()
    ]
    if arguments.json:
        _print_json({"store": str(store.root), "runs": runs, "artifacts": artifacts})
        return 0
    for run in runs:
        print(f"run       {run['status']:11}  {run['started'][:19]}  {run['run']}")
    for item in artifacts:
        print(f"artifact  {item['bytes']:11,}  {item['finished'][:19]}  {item['path']}")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """RUN or ARTIFACT: its table or record"""
    from lmexp.core.runs import find_run
    from lmexp.summary import summary

    words, store = _split_store(arguments.words)
    if len(words) != 1:
        raise ConfigError("show takes one RUN or ARTIFACT; see lmexp ls.")
    record = _find_record(store, words[0])
    if record is not None:
        _print_json(record.data)
        return 0
    run = find_run(store, words[0])
    if arguments.json:
        _print_json({**run.data, "status": run.status})
    else:
        print(summary(run))
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """[RUN or ARTIFACT ...]: read every byte and name each damaged file; exit code 1 if any"""
    words, store = _split_store(arguments.words)
    damaged = [] if words else store.damaged_records()
    records = _records(store, words)
    for record in records:
        damaged += store.problems(record, reread=True)
    if arguments.json:
        _print_json({"artifacts": len(records), "damaged": damaged})
    else:
        print("\n".join(damaged) if damaged else f"{len(records)} artifacts are as published")
    return 1 if damaged else 0


def replay(arguments: argparse.Namespace) -> int:
    """RUN or ARTIFACT: compute it again from its record and compare; exit code 1 if it differs"""
    from lmexp.core.compose import find_pipeline
    from lmexp.core.replay import replay as replay_record
    from lmexp.core.worker import load_file

    importlib.import_module("lmexp.stages")
    if arguments.pipeline:
        load_file(find_pipeline(arguments.pipeline))
    words, store = _split_store(arguments.words)
    if not words:
        raise ConfigError("replay takes a RUN or an ARTIFACT; see lmexp ls.")
    code = 0
    for record in _records(store, words):
        found = replay_record(record, store)
        code = max(code, 1 if found.differing else 0)
        result = f"differs in {', '.join(found.differing)}" if found.differing else "identical"
        print(f"{record.stage}/{record.name}  {result}", flush=True)
    return code


def generate(arguments: argparse.Namespace) -> int:
    """RUN or PATH --prompt TEXT [temperature=0.8 ...]: continue a text with a pretrained model"""
    from lmexp.core.config import build
    from lmexp.generation.config import SamplingConfig

    values = {}
    words = []
    for word in arguments.words:
        key, equals, value = word.partition("=")
        if equals and key.isidentifier() and key != "store":
            values[key] = _number(value)
        else:
            words.append(word)
    config = build(SamplingConfig, values)
    path = _pretrained(words)

    from lmexp import load_model, load_tokenizer
    from lmexp.generation.generate import generate_text

    print(generate_text(load_model(path), load_tokenizer(path), arguments.prompt, config))
    return 0


def _pretrained(words: Sequence[str]) -> Path:
    """Return the directory of a pretrain artifact that is named by its path, or by its run and store."""
    from lmexp.core.runs import find_run

    named = [w for w in words if not w.startswith("store=")]
    if len(named) != 1:
        raise ConfigError("generate takes one RUN or the PATH of a pretrain artifact; see lmexp ls.")
    path = Path(named[0])
    if (path / "config.json").is_file():
        return path
    _, store = _split_store(words)
    record = _find_record(store, named[0])
    if record is not None and record.stage == "pretrain":
        return record.path
    if record is not None or path.is_dir() or "/" in named[0]:
        raise ConfigError(f"{named[0]} is not the directory of a pretrain artifact; see lmexp ls.")
    return find_run(store, named[0]).artifact("pretrain")


def _number(text: str) -> int | float | str | None:
    """Return what `text` spells: a number, null, or itself, which the key's check then refuses."""
    if text == "null":
        return None
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def gc(arguments: argparse.Namespace) -> int:
    """[--keep RUN ...] [--delete]: what no kept run needs; deletes only with --delete"""
    from lmexp.core.gc import find_garbage, sweep

    words, store = _split_store(arguments.words)
    _no_more(words)
    garbage = find_garbage(store, arguments.keep)
    total = sum(item.num_bytes for item in garbage)
    if arguments.delete:
        sweep(store, garbage)
    if arguments.json:
        items = [{"path": str(g.path), "bytes": g.num_bytes, "reason": g.reason} for g in garbage]
        _print_json({"garbage": items, "bytes": total, "deleted": arguments.delete})
        return 0
    for item in garbage:
        print(f"{item.num_bytes:13,}  {item.path.relative_to(store.root)}  ({item.reason})")
    print(f"{total:13,}  bytes {'freed' if arguments.delete else 'would be freed; add --delete'}")
    return 0


def _records(store: "Store", words: Sequence[str]) -> "list[Record]":
    """Return the named artifacts and those of the named runs; all where nothing is named."""
    from lmexp.core.runs import find_run

    if not words:
        return store.records()
    found = []
    for word in words:
        record = _find_record(store, word)
        if record is not None:
            found.append(record)
            continue
        for entry in find_run(store, word).stages.values():
            published = store.find(entry["stage"], entry["fingerprint"])
            if published is None:
                raise ConfigError(f"{entry['artifact']} of run {word} is no longer in the store.")
            found.append(published)
    return found


def _find_record(store: "Store", word: str) -> "Record | None":
    """Return the one artifact whose path, name or fingerprint the word is or begins."""
    path = word.rstrip("/")
    absolute = os.path.abspath(path)
    matches = [
        r
        for r in store.records()
        if absolute == os.path.abspath(r.path)
        or path in (str(r.path), r.path.relative_to(store.root).as_posix(), f"{r.stage}/{r.name}", r.name)
        or (len(word) >= 8 and r.fingerprint.startswith(word))
    ]
    return matches[0] if len(matches) == 1 else None


def _no_more(words: Sequence[str]) -> None:
    if words:
        raise ConfigError(f"{words[0]!r} is not expected here; only store=PATH is.")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "plan": plan,
    "why": why,
    "ls": ls,
    "show": show,
    "verify": verify,
    "replay": replay,
    "generate": generate,
    "gc": gc,
}

if __name__ == "__main__":
    sys.exit(main())
