"""Why a group cannot be taken out of a configuration, and what to write instead.

Hydra removes a group from its defaults list on ``~group`` and ``group=null``, but every key of a pipeline has
a default in its config class, so that the run would be the same, or one with other values than were chosen.
A single key that is removed is a request for its class's default, which it then has.
"""

import typing
from collections.abc import Iterable, Mapping

from lmexp.core.graph.stage import Handle
from lmexp.core.values.config import Config
from lmexp.core.values.settings import RunConfig
from lmexp.core.values.spelling import override
from lmexp.errors import ConfigError


def refuse_removed(keys: Iterable[str], cls: type[RunConfig], handles: Mapping[str, Handle]) -> None:
    """Raise `ConfigError` for the first of the removed keys that is a whole group of the pipeline's class."""
    hints = typing.get_type_hints(cls)
    for key in keys:
        hint = hints.get(key)
        if isinstance(hint, type) and issubclass(hint, Config):
            raise ConfigError(f"{key} cannot be removed: {_instead(key, handles)}.")


def _instead(key: str, handles: Mapping[str, Handle]) -> str:
    if key == "tracking":
        return "write tracking=none to mirror nothing"
    if key not in handles:
        return f"its keys have defaults, and each one is set by {key}.NAME=VALUE"
    needed = {id(source) for handle in handles.values() for source in handle.inputs.values()}
    if id(handles[key]) in needed:
        return f"other stages need what the stage {key} makes; only=[STAGE] runs a stage and what it needs"
    rest = [name for name, handle in handles.items() if name != key and id(handle) not in needed]
    return f"to leave its stage out write {override('only', rest)}"
