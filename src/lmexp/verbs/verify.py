"""Reads every byte of the store's artifacts, and every seal of its records."""

import argparse

from lmexp.verbs.words import named_records, print_json, split_store


def verify(arguments: argparse.Namespace) -> int:
    """[RUN or ARTIFACT ...]: read every byte and name all that is not as written; exit code 1 if any"""
    from lmexp.core.records.verification import verify_artifacts, verify_store

    words, store = split_store(arguments.words)
    found = verify_artifacts(store, named_records(store, words)) if words else verify_store(store)
    if arguments.json:
        print_json(
            {"artifacts": found.num_artifacts, "damaged": found.problems, "not_sealed": found.num_unsealed}
        )
        return 1 if found.problems else 0
    print("\n".join(found.problems) or f"{found.num_artifacts} artifacts are as published")
    if found.num_unsealed:
        print(
            f"{found.num_unsealed} run records are not sealed, since an earlier version of lmexp wrote "
            f"them; they agree with their artifacts, and each run's command seals its own"
        )
    return 1 if found.problems else 0
