"""A run's table or an artifact's record."""

import argparse

from lmexp.errors import ConfigError
from lmexp.verbs.words import find_record, print_json, split_store


def show(arguments: argparse.Namespace) -> int:
    """RUN or ARTIFACT: its table or record"""
    from lmexp.analysis.summary import summary
    from lmexp.core.records.runs import find_run, list_runs

    words, store = split_store(arguments.words)
    if len(words) != 1:
        raise ConfigError("show takes one RUN or ARTIFACT; see lmexp ls.")
    record = find_record(store, words[0])
    if record is None:
        begins = store.records_where(lambda _stage, name: name.startswith(words[0]))
        if len(begins) == 1 and not any(r.name.startswith(words[0]) for r in list_runs(store)):
            record = begins[0]
    if record is not None:
        print_json(record.data)
        return 0
    run = find_run(store, words[0])
    if arguments.json:
        print_json({**run.data, "status": run.status, "seal": run.seal})
        return 0
    print(summary(run))
    if run.seal == "rebuilt":
        print("\nits run.json is missing or damaged: this is what its last invocation noted")
    if run.seal == "not sealed":
        print("\nits run.json is not sealed, since an earlier version wrote it: lmexp verify compares it")
    return 0
