"""Why an experiment would compute what it would: key by key, against the nearest earlier run.

For each key in which the two configurations differ, that key alone is set back in the new
configuration and the pipeline is fingerprinted again: the stages whose fingerprints move are the
ones that the key re-runs. No table of keys and stages has to be kept true.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lmexp.core.graph.plan import ABSENT, Plan, Verdict, differences, make_plan, spelled
from lmexp.core.graph.stage import Handle
from lmexp.core.provenance.drift import named
from lmexp.core.records.runs import Run, list_runs
from lmexp.core.store.store import Store
from lmexp.core.values.config import completed, to_dict
from lmexp.core.values.settings import RunConfig
from lmexp.errors import LmexpError

Rebuild = Callable[[Mapping[str, Any]], Mapping[str, Handle]]
"""From a plain configuration to the handles of its pipeline."""


def explain(config: RunConfig, store: Store, rebuild: Rebuild) -> list[str]:
    """Return a line for each key that differs from the nearest run, and what it re-runs; then edited code."""
    new = to_dict(config)
    runs = [r for r in list_runs(store) if r.data["config"].get("pipeline") == new["pipeline"]]
    if not runs:
        return [f"no run of this pipeline is in {store.root}: every stage runs"]
    changes_of = {run.name: _changes(run, type(config), new) for run in runs}
    nearest = min(reversed(runs), key=lambda run: len(changes_of[run.name]))
    changes = changes_of[nearest.name]
    lines = [f"compared with run {nearest.name}:"]
    plan = make_plan(rebuild(new), store, force=config.force, only=config.only)
    verdicts = plan.verdicts(store)
    now = _fingerprints(rebuild(new), store)
    explained: set[str] = set()
    for key, before, after in changes:
        change = f"{key} {spelled(before)} -> {spelled(after)}"
        try:
            old = _fingerprints(rebuild(_set(new, key, before)), store)
        except LmexpError:  # the files of then are gone, or the keys only make sense together
            lines.append(f"{change}: cannot be told apart from the other keys")
            continue
        moved = [name for name, value in now.items() if old.get(name) != value]
        explained |= set(moved)
        lines.append(f"{change}: {_effect(moved)}")
    moved = [n for n, value in nearest.data["planned"].items() if now.get(n) != value]
    others = [name for name in moved if name not in explained]
    if others:
        lines.append(f"external files, your code, or a stage's version changed: {_effect(others)}")
        lines += [
            f"  {n}: {verdicts[n].reason}" for n in others if n in verdicts and verdicts[n].is_own_reason
        ]
    elif not moved:
        pending = _pending(plan, verdicts)
        if pending:
            lines.append(f"no result differs, and yet these run: {pending}")
        elif not changes:
            lines.append("no key differs: re-runs nothing")
    reused = {name: verdict.changed for name, verdict in verdicts.items() if verdict.changed}
    return lines + [f"{name} is reused; changed since: {named(code)}" for name, code in reused.items()]


def _pending(plan: Plan, verdicts: Mapping[str, Verdict]) -> str:
    """Return what runs although no result differs: what is forced, was stopped, or has been deleted."""
    pending = {name: v for name, v in verdicts.items() if v.action != "reuse"}
    reasons = {"resume": "goes on", "wait": "is being computed"}
    return ", ".join(
        f"{name} {'is forced' if plan.by_name[name].force else reasons.get(v.action, 'is not in the store')}"
        for name, v in pending.items()
    )


def _effect(moved: list[str]) -> str:
    return f"re-runs {', '.join(moved)}" if moved else "no result depends on it, re-runs nothing"


def _changes(run: Run, cls: type[RunConfig], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the differences from a run, which has of keys that are younger what their absence means."""
    engine = ("store", "force", "only")
    before = completed(cls, run.data["config"])
    return [d for d in differences(before, new) if d[0] not in engine]


def _fingerprints(handles: Mapping[str, Handle], store: Store) -> dict[str, str]:
    return {s.name: s.fingerprint for s in make_plan(handles, store).stages}


def _set(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a configuration with another value of a key, or without the key, which then has its default."""
    head, _, rest = key.partition(".")
    if not rest and value == ABSENT:
        return {name: kept for name, kept in config.items() if name != head}
    return {**config, head: _set(config[head], rest, value) if rest else value}
