"""Computes artifacts again and compares."""

import argparse
import importlib

from lmexp.errors import ConfigError
from lmexp.verbs.words import find_record, named_records, split_store


def replay(arguments: argparse.Namespace) -> int:
    """RUN or ARTIFACT: compute it again from its record and compare; exit code 1 if it differs"""
    from lmexp.core.compose import find_pipeline
    from lmexp.core.replay import replay as replay_record
    from lmexp.core.runs import find_run
    from lmexp.core.worker import load_file

    importlib.import_module("lmexp.stages")
    if arguments.pipeline:
        load_file(find_pipeline(arguments.pipeline))
    words, store = split_store(arguments.words)
    if not words:
        raise ConfigError("replay takes a RUN or an ARTIFACT; see lmexp ls.")
    for word in words:
        if find_record(store, word) is None:
            load_file(find_pipeline(str(find_run(store, word).data["config"]["pipeline"])))
    code = 0
    for record in named_records(store, words):
        found = replay_record(record, store)
        code = max(code, 1 if found.differing else 0)
        result = f"differs in {', '.join(found.differing)}" if found.differing else "identical"
        print(f"{record.stage}/{record.name}  {result}", flush=True)
    return code
