"""Uploads what ran offline."""

import argparse

from lmexp.errors import ConfigError, nearest
from lmexp.verbs.words import split_store


def sync(arguments: argparse.Namespace) -> int:
    """[RUN ...] [timeout_s=600]: upload what ran offline to wandb; exit code 1 if some did not arrive"""
    from lmexp.core.tracking.sync import TIMEOUT_S
    from lmexp.core.tracking.sync import sync as sync_runs

    words, store = split_store(arguments.words)
    names = [word for word in words if not word.startswith("timeout_s=")]
    for name in names:
        if "=" in name:
            key = name.partition("=")[0]
            raise ConfigError(f"{key}= is not expected here{nearest(key, ('timeout_s', 'store'))}.")
    limits = [_seconds(word.partition("=")[2]) for word in words if word.startswith("timeout_s=")]
    counts = {"uploaded": 0, "unchanged": 0, "running": 0, "failed": 0}
    for synced in sync_runs(store, names, timeout_s=limits[-1] if limits else TIMEOUT_S):
        counts[synced.outcome] += 1
        reason = f": {synced.reason}" if synced.reason else ""
        print(f"{synced.outcome:9}  {synced.run}{reason}", flush=True)
    print(
        ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no run was tracked"
    )
    return 1 if counts["failed"] else 0


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise ConfigError(f"timeout_s must be seconds above 0 and at most 86400, was {text!r}.")
    return value
