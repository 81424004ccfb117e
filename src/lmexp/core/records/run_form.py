"""The form of run records that carry no seal, since an earlier version wrote them.

A sealed record is what lmexp wrote, and needs no check. One without a seal is read only where each part
that a reader may ask for is of its kind, so that no reader has to expect anything else.
"""

from collections.abc import Callable, Mapping
from typing import Any

from lmexp.core.store.lease import is_process

Check = Callable[[Any], bool]


def _is(*kinds: type) -> Check:
    return lambda value: type(value) in kinds


def _list_of(item: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(item, value))


def _map_of(item: Check) -> Check:
    return lambda value: isinstance(value, dict) and all(map(item, value.values()))


def _fields(form: Mapping[str, Check]) -> Check:
    return lambda value: isinstance(value, dict) and all(check(value.get(key)) for key, check in form.items())


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_inside(value: Any) -> bool:
    """Whether a path is relative and leads nowhere but down."""
    return isinstance(value, str) and not value.startswith("/") and ".." not in value.split("/")


_TEXT, _NUMBER = _is(str), _is(int, float)

_STAGE = _fields(
    {
        "stage": _TEXT,
        "artifact": _is_inside,
        "fingerprint": _TEXT,
        "action": _TEXT,
        "seconds": _NUMBER,
        "world_size": _is(int),
    }
)

_TRACKING = _fields({"mode": _TEXT, "project": _TEXT, "entity": _or_none(_TEXT)})

is_unsealed_run: Check = _fields(
    {
        "format": lambda value: value is None,  # what was ever sealed says so
        "run": _TEXT,
        "recording": _or_none(_is(int)),
        "experiment": _TEXT,
        "group": _TEXT,
        "status": lambda value: value in ("running", "done", "failed", "interrupted"),
        "started": _TEXT,
        "finished": _or_none(_TEXT),
        "argv": _list_of(_TEXT),
        "command": _or_none(_list_of(_TEXT)),
        "process": is_process,
        "config": _fields({"tracking": _TRACKING}),
        "changes": _or_none(_map_of(lambda _value: True)),
        "tracking": lambda value: value is None,
        "planned": _map_of(_TEXT),
        "stages": _map_of(_STAGE),
        "current": _or_none(_fields({"name": _TEXT, "metrics_file": _is_inside})),
        "metrics": _map_of(_NUMBER),
        "message": _or_none(_TEXT),
    }
)
"""Whether a value has the form of a `run.json` without a seal."""

is_unsealed_invocation: Check = _fields(
    {
        "record": lambda value: value is None,  # what was ever sealed has one
        "argv": _list_of(_TEXT),
        "started": _TEXT,
        "finished": _or_none(_TEXT),
        "host": _TEXT,
        "outcome": _TEXT,
        "stages": _map_of(_TEXT),
        "message": _TEXT,
        "traceback": _TEXT,
    }
)
"""Whether a value has the form of a line of `invocations.jsonl` without a seal."""
