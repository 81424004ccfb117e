"""Reads every byte of the store's artifacts."""

import argparse

from lmexp.verbs.words import named_records, print_json, split_store


def verify(arguments: argparse.Namespace) -> int:
    """[RUN or ARTIFACT ...]: read every byte and name each damaged file; exit code 1 if any"""
    words, store = split_store(arguments.words)
    damaged = [] if words else store.damaged_records()
    records = named_records(store, words)
    for record in records:
        damaged += store.problems(record, reread=True)
    if arguments.json:
        print_json({"artifacts": len(records), "damaged": damaged})
    else:
        print("\n".join(damaged) if damaged else f"{len(records)} artifacts are as published")
    return 1 if damaged else 0
