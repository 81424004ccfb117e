"""Compares tokenizers on the same texts."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.values.numbers import number
from lmexp.errors import ConfigError
from lmexp.verbs.tokens.named import corpus_texts, tokenizer_of
from lmexp.verbs.words import print_json, text_lines, whole_number

if TYPE_CHECKING:
    from lmexp.tokenizer.compared import Compared

_LIMIT = 1000
_DOMAINS_SHOWN = 6


def compare(arguments: argparse.Namespace) -> int:
    """--tokenizers WHAT ...: bytes per token by domain, what is used and lost, and speed"""
    from lmexp.tokenizer.compared import compared

    stores = [word for word in arguments.words if word.startswith("store=")]
    names = [word for word in arguments.words if not word.startswith("store=")]
    if not arguments.tokenizers or not names:
        raise ConfigError("compare takes --tokenizers and at least one WHAT; see lmexp compare --help.")
    if len(set(names)) < len(names):
        raise ConfigError(f"compare takes each tokenizer once, was given {', '.join(names)}.")
    limit = whole_number("limit", arguments.limit, _LIMIT)
    domains = {} if arguments.corpus is None else corpus_texts(arguments.corpus, stores, limit)
    for file in arguments.texts:
        domains.setdefault(Path(file).name, []).extend(text_lines(file)[:limit])
    if not domains:
        raise ConfigError("compare needs texts: --texts FILE, once for each domain, or --corpus RUN.")
    learnt = None if arguments.learn is None else text_lines(arguments.learn)
    found = {name: compared(tokenizer_of(name, stores, learnt), domains) for name in names}
    if arguments.json:
        print_json({name: asdict(one) for name, one in found.items()})
        return 0
    print("\n".join(_table(found, {name: sum(map(len, texts)) for name, texts in domains.items()})))
    return 0


def _table(found: "dict[str, Compared]", sizes: dict[str, int]) -> list[str]:
    """Return the lines of a table, of the domains the largest, which stand in bytes per token."""
    largest = sorted(sizes, key=lambda name: -sizes[name])[:_DOMAINS_SHOWN] if len(sizes) > 1 else []
    head = ["tokenizer", "ids", "used", "lost", "MB/CPU s", "bytes/token", *largest]
    rows = [
        [
            name,
            number(one.vocab_size),
            f"{one.vocab_used:.1%}",
            f"{one.lost_share:.2%}",
            number(round(one.megabytes_per_cpu_second, 2)),
            f"{one.bytes_per_token:.3f}",
            *(f"{one.domains[domain]:.3f}" for domain in largest),
        ]
        for name, one in found.items()
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, *rows]
    ]
