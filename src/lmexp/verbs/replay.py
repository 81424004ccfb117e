"""Computes artifacts again and compares."""

import argparse
import importlib

from lmexp.errors import ConfigError
from lmexp.verbs.words import named_records, split_store


def replay(arguments: argparse.Namespace) -> int:
    """RUN or ARTIFACT: compute it again from its record and say where it differs; exit code 1 if it does"""
    from lmexp.core.graph.loading import load_file
    from lmexp.core.graph.reserved import find_pipeline
    from lmexp.core.provenance.drift import named
    from lmexp.core.running.replay import replay as replay_record
    from lmexp.core.values.terminal import printable

    importlib.import_module("lmexp.stages")
    if arguments.pipeline:
        load_file(find_pipeline(arguments.pipeline))
    words, store = split_store(arguments.words)
    if not words:
        raise ConfigError("replay takes a RUN or an ARTIFACT; see lmexp ls.")
    code = 0
    for record in named_records(store, words):
        found = replay_record(record, store)
        code = max(code, 1 if found.differing else 0)
        result = f"differs in {', '.join(found.differing)}" if found.differing else "identical"
        lines = [f"{record.stage}/{record.name}  {result}"]
        lines += [f"  {name}: {place}" for name, place in found.differing.items()]
        if found.changed:
            lines.append(f"  its code changed since: {named(found.changed)}")
        print(printable("\n".join(lines)), flush=True)
    return code
