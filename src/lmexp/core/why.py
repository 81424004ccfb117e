"""Why an experiment would compute what it would: key by key, against the nearest earlier run.

For each key in which the two configurations differ, that key alone is set back in the new
configuration and the pipeline is fingerprinted again: the stages whose fingerprints move are the
ones that the key re-runs. No table of keys and stages has to be kept true.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lmexp.core.config import to_dict
from lmexp.core.plan import differences, make_plan, spelled
from lmexp.core.runs import Run, list_runs
from lmexp.core.settings import RunConfig
from lmexp.core.stage import Handle
from lmexp.core.store import Store
from lmexp.errors import LmexpError

Rebuild = Callable[[Mapping[str, Any]], Mapping[str, Handle]]
"""From a plain configuration to the handles of its pipeline."""


def explain(config: RunConfig, store: Store, rebuild: Rebuild) -> list[str]:
    """Return one line for each key that differs from the nearest run, and what it re-runs."""
    new = to_dict(config)
    runs = [r for r in list_runs(store) if r.data["config"].get("pipeline") == new["pipeline"]]
    if not runs:
        return [f"no run of this pipeline is in {store.root}: every stage runs"]
    nearest = min(reversed(runs), key=lambda run: len(_changes(run, new)))
    changes = _changes(nearest, new)
    lines = [f"compared with run {nearest.name}:"]
    now = _fingerprints(rebuild(new), store)
    for key, before, after in changes:
        change = f"{key} {spelled(before)} -> {spelled(after)}"
        try:
            old = _fingerprints(rebuild(_set(new, key, before)), store)
        except LmexpError:  # the files of then are gone, or the keys only make sense together
            lines.append(f"{change}: cannot be told apart from the other keys")
            continue
        moved = [name for name, value in now.items() if old.get(name) != value]
        lines.append(f"{change}: {_effect(moved)}")
    moved = [n for n, value in nearest.data["planned"].items() if now.get(n) != value]
    if moved and not changes:
        lines.append(f"the content of external files, or a stage's version, changed: {_effect(moved)}")
    elif not moved:
        pending = _pending(config, rebuild(new), store)
        if pending:
            lines.append(f"no result differs, and yet these run: {pending}")
        elif not changes:
            lines.append("no key differs: re-runs nothing")
    return lines


def _pending(config: RunConfig, handles: Mapping[str, Handle], store: Store) -> str:
    """Return what runs although no result differs: what is forced, was stopped, or has been deleted."""
    plan = make_plan(handles, store, force=config.force, only=config.only)
    pending = {name: v for name, v in plan.verdicts(store).items() if v.action != "reuse"}
    reasons = {"resume": "goes on", "wait": "is being computed"}
    return ", ".join(
        f"{name} {'is forced' if plan.by_name[name].force else reasons.get(v.action, 'is not in the store')}"
        for name, v in pending.items()
    )


def _effect(moved: list[str]) -> str:
    return f"re-runs {', '.join(moved)}" if moved else "no result depends on it, re-runs nothing"


def _changes(run: Run, new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    engine = ("store", "force", "only")
    return [d for d in differences(run.data["config"], new) if d[0] not in engine]


def _fingerprints(handles: Mapping[str, Handle], store: Store) -> dict[str, str]:
    return {s.name: s.fingerprint for s in make_plan(handles, store).stages}


def _set(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    return {**config, head: _set(config[head], rest, value) if rest else value}
