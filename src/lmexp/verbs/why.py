"""What each changed key re-runs."""

import argparse

from lmexp.verbs.words import composed


def why(arguments: argparse.Namespace) -> int:
    """OVERRIDES: what each changed key re-runs, against the nearest earlier run"""
    from lmexp.core.graph.compose import handles_of
    from lmexp.core.records.why import explain

    composition, store = composed(arguments)
    print("\n".join(explain(composition.config, store, handles_of)))
    return 0
