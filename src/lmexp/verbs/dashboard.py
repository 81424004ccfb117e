"""Writes a workspace for wandb's web page."""

import argparse
import contextlib
import os

from lmexp.errors import ConfigError
from lmexp.verbs.words import split_store

METRIC = "perplexity/test/bits_per_byte"
"""What is compared where nothing else is asked for."""


def dashboard(arguments: argparse.Namespace) -> int:
    """[GROUP] [metric=NAME] [--save]: write a wandb workspace as JSON; --save also puts it on the server"""
    from lmexp.core.records.runs import list_runs
    from lmexp.core.tracking.dashboard import definition, outline
    from lmexp.core.tracking.destination import refuse_offline
    from lmexp.core.tracking.uploader import has_key
    from lmexp.core.values.files import read_json, write_json

    words, store = split_store(arguments.words)
    metrics = [word.partition("=")[2] for word in words if word.startswith("metric=")]
    groups = [word for word in words if not word.startswith("metric=")]
    if len(groups) > 1:
        raise ConfigError("dashboard takes at most one GROUP, a sweep or an experiment.")
    if arguments.save:
        refuse_offline(os.environ)
    if arguments.save and not has_key():
        raise ConfigError("no wandb key is set; give `wandb login` once, or set WANDB_API_KEY.")
    group = groups[0] if groups else None
    shown = outline(store, list_runs(store), metric=metrics[-1] if metrics else METRIC, group=group)
    # an experiment in a folder of its own has a slash in its name
    name = "dashboard.json" if group is None else f"dashboard-{group.replace('/', '-')}.json"
    path = store.root / name
    earlier = None
    with contextlib.suppress(OSError, ValueError):
        earlier = read_json(path)
    write_json(path, definition(shown, earlier, save=arguments.save))
    print(f"wrote {path}")
    if arguments.save:
        print(f"saved as {shown.name!r} in the project {shown.project}")
    return 0
