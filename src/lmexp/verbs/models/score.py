"""Says how likely texts are to a model: each token's surprisal, the sum, and which text is likeliest."""

import argparse
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmexp.core.values.numbers import number
from lmexp.core.values.terminal import takes_color, width_of, write_on_color
from lmexp.errors import ConfigError
from lmexp.verbs.models.folder import load
from lmexp.verbs.words import print_json

if TYPE_CHECKING:
    from lmexp.scoring.texts import TextScore

SHADES = ((1, 231), (2, 230), (4, 229), (8, 222), (16, 215), (math.inf, 209))
"""Bits of surprisal below which a token is shown on a color of the terminal's 256, white to orange."""


def score(arguments: argparse.Namespace) -> int:
    """RUN or PATH TEXT ...: how likely texts are to a model, token by token, and their ranking"""
    stores = [word for word in arguments.words if word.startswith("store=")]
    words = [word for word in arguments.words if not word.startswith("store=")]
    if not words:
        raise ConfigError("score takes one RUN or the PATH of a model, and texts; see lmexp ls.")
    name, *texts = words
    if arguments.file is None and not texts:
        raise ConfigError(
            "score takes at least one TEXT behind the model, or --file FILE with lists of candidates."
        )
    if arguments.file is not None and texts:
        raise ConfigError(f"score takes texts or --file, was given {texts[0]!r} and {arguments.file}.")

    from lmexp.scoring.candidates import Candidates, read_candidates

    lists = [Candidates(tuple(texts))] if arguments.file is None else read_candidates(Path(arguments.file))
    model, tokenizer = load(name, stores)

    from lmexp.scoring.texts import score_lists

    prompts = [arguments.prompt if found.prompt is None else found.prompt for found in lists]
    scored = score_lists(
        model, tokenizer, [(p, found.texts) for p, found in zip(prompts, lists, strict=True)]
    )
    if not model.is_normalized and not arguments.json:
        print("this model is no distribution: its scores are no probabilities\n")
    if arguments.json:
        rows = zip(lists, prompts, scored, strict=True)
        found = [_as_json(prompt, scores, one.more) for one, prompt, scores in rows]
        print_json({"is_normalized": model.is_normalized, "lists": found})
        return 0
    for i, (prompt, scores) in enumerate(zip(prompts, scored, strict=True)):
        print("\n" * (i > 0) + "\n".join(table(prompt, scores)))
        if arguments.file is None:
            for one in scores:
                print()
                _print_row(one)
    return 0


def table(prompt: str, scores: "Sequence[TextScore]") -> Iterator[str]:
    """Yield the lines of a list, the likeliest first: sums, and the bits by which each stands behind it."""
    from lmexp.scoring.texts import ranking
    from lmexp.tokenizer.spelling import spelled

    if prompt:
        yield f"after {spelled(prompt.encode())}"
    order = ranking(scores)
    yield f"{'nats':>10}  {'bits':>10}  {'bits/byte':>9}  {'behind':>10}  text"
    for i in order:
        one, best = scores[i], scores[order[0]]
        behind = one.bits - best.bits if math.isfinite(best.bits) else 0.0
        per_byte = "" if one.bits_per_byte is None else number(round(one.bits_per_byte, 4))
        yield (
            f"{one.nats:10.4f}  {one.bits:10.4f}  {per_byte:>9}  {behind:10.4f}  {spelled(one.text.encode())}"
        )


def _print_row(one: "TextScore") -> None:
    """Print a text's tokens with the bits of each below; on a terminal the more surprising the darker."""
    colored = takes_color(sys.stdout)
    for row in rows_of(one, max(shutil.get_terminal_size().columns, 20)):
        cells = [text + " " * (width - width_of(text)) for text, _, width in row]
        if colored:
            for cell, (_, bits, _) in zip(cells, row, strict=True):
                write_on_color(sys.stdout, cell, shade(bits))
                sys.stdout.write(" ")
            print()
        else:
            print(" ".join(cells).rstrip())
        print(" ".join(f"{bits:<{width}.2f}" for _, bits, width in row).rstrip())


def rows_of(one: "TextScore", columns: int) -> Iterator[list[tuple[str, float, int]]]:
    """Yield the rows of (token, bits, width) that a text takes, each at most `columns` wide."""
    row: list[tuple[str, float, int]] = []
    used = 0
    for text, bits in zip(one.tokens, one.surprisals.tolist(), strict=True):
        width = max(width_of(text), len(f"{bits:.2f}"))
        if row and used + width + 1 > columns:
            yield row
            row, used = [], 0
        row.append((text, bits, width))
        used += width + 1
    if row:
        yield row


def shade(bits: float) -> int:
    """Return the color of a surprisal; see `SHADES`."""
    return next((color for below, color in SHADES if bits < below), SHADES[-1][1])


def _as_json(prompt: str, scores: "Sequence[TextScore]", more: dict[str, Any]) -> dict[str, Any]:
    """Return a list as JSON holds it, in the order given; what is infinite is null."""
    from lmexp.scoring.texts import ranking

    ranks = {i: rank for rank, i in enumerate(ranking(scores), start=1)}
    candidates = [
        {
            "text": one.text,
            "rank": ranks[i],
            "nats": _finite(one.nats),
            "bits": _finite(one.bits),
            "bits_per_byte": _finite(one.bits_per_byte),
            "perplexity": _finite(one.perplexity),
            "tokens": [
                {"id": token, "text": text, "log_prob": _finite(log_prob)}
                for token, text, log_prob in zip(one.ids, one.tokens, one.log_probs.tolist(), strict=True)
            ],
        }
        for i, one in enumerate(scores)
    ]
    return {**more, "prompt": prompt, "candidates": candidates}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
