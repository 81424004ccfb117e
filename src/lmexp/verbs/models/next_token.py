"""Shows what may come next: the distribution over the next token as bars, and where sampling cuts it."""

import argparse
import math
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lmexp.core.values.terminal import width_of
from lmexp.errors import ConfigError
from lmexp.verbs.models.folder import load
from lmexp.verbs.words import number_or_text, print_json, whole_number

if TYPE_CHECKING:
    from lmexp.generation.next_token import NextTokens

_SAMPLING = ("temperature", "top_k", "top_p")
_LIMIT = 20


def next_token(arguments: argparse.Namespace) -> int:
    """RUN or PATH --prompt TEXT: the distribution over the next token, as bars"""
    from lmexp.core.values.config import build
    from lmexp.generation.config import SamplingConfig

    given = {key: getattr(arguments, key) for key in _SAMPLING if getattr(arguments, key) is not None}
    config = build(SamplingConfig, {key: number_or_text(value) for key, value in given.items()})
    limit = whole_number("limit", arguments.limit, _LIMIT)
    stores = [word for word in arguments.words if word.startswith("store=")]
    names = [word for word in arguments.words if not word.startswith("store=")]
    for word in names:
        key, equals, _ = word.partition("=")
        if equals and key in _SAMPLING:
            raise ConfigError(f"next takes {key} as an option; write --{key.replace('_', '-')} VALUE.")
    if len(names) != 1:
        raise ConfigError("next takes one RUN or the PATH of a model; see lmexp ls.")
    model, tokenizer = load(names[0], stores)

    from lmexp.generation.next_token import next_tokens

    found = next_tokens(model, tokenizer, arguments.prompt, config, limit=limit)
    if arguments.json:
        print_json({"is_normalized": model.is_normalized, **_as_json(arguments.prompt, found)})
        return 0
    if not model.is_normalized:
        print("this model is no distribution: p is its scores, scaled so that they sum to one\n")
    words = [f"{key.replace('_', '-')} {value}" for key, value in given.items()]
    blocks = _encodes(sys.stdout.encoding, "█░")
    print("\n".join(drawn_lines(found, words, columns=_columns(), signs="█░" if blocks else "#.")))
    return 0


def drawn_lines(found: "NextTokens", words: list[str], *, columns: int, signs: str) -> Iterator[str]:
    """Yield the lines that show a distribution in so many `columns`; `words` name what changed it.

    A bar's first sign is as long as the probability that a token is drawn with, its second one as long as
    what the model gives it beyond that. The sum of all other tokens has no bar: it would stand beside single
    ones. No cut is drawn where nothing that has a probability is cut off.
    """
    others = f"{found.num_others:,} others"
    width = min(max(map(width_of, [*(token.text for token in found.tokens), others])), columns // 2)
    greatest = max(max(math.exp(token.log_prob), token.drawn) for token in found.tokens)
    room = max(columns - width - (22 if words else 12), 8)

    def line(text: str, prob: float, drawn: float, bar: bool = True) -> str:
        solid = round(room * drawn / greatest)
        both = max(round(room * prob / greatest), solid)
        numbers = f"{prob:8.4f}" + (f"  {drawn:8.4f}" if words else "")
        padding = " " * max(width - width_of(text), 0)
        signed = signs[0] * solid + signs[1] * (both - solid) if bar else ""
        return f"{numbers}  {text}{padding}  {signed}".rstrip()

    is_cut = bool(words) and found.kept_prob < 1 - 1e-9
    if words:
        yield f"{'p':>8}  {'drawn':>8}  token"
    cut = f"--- {', '.join(words)}: cut after {found.num_kept:,} tokens with {found.kept_prob:.4f} of p"
    for rank, token in enumerate(found.tokens):
        if is_cut and rank == found.num_kept:
            yield cut
        yield line(token.text, math.exp(token.log_prob), token.drawn)
    if not found.num_others:
        return
    if is_cut and found.num_kept == len(found.tokens):
        yield cut
    yield line(others, found.others_prob, found.others_drawn, bar=False)
    if is_cut and found.num_kept > len(found.tokens):
        yield f"{cut}, among the others"


def _as_json(prompt: str, found: "NextTokens") -> dict[str, Any]:
    """Return the distribution as JSON holds it; the logarithm of a probability of 0 is null."""
    tokens = [
        {
            **asdict(token),
            "prob": math.exp(token.log_prob),
            "log_prob": token.log_prob if math.isfinite(token.log_prob) else None,
        }
        for token in found.tokens
    ]
    return {"prompt": prompt, **asdict(found), "tokens": tokens}


def _columns() -> int:
    return max(shutil.get_terminal_size().columns, 40)


def _encodes(encoding: str | None, signs: str) -> bool:
    try:
        signs.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
