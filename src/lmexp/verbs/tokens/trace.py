"""Shows how a vocabulary comes about: BPE's merges one by one, or Unigram's segmentations and its EM."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from lmexp.core.values.numbers import number
from lmexp.errors import ConfigError, nearest
from lmexp.verbs.words import print_json, text_lines, whole_number

if TYPE_CHECKING:
    from lmexp.tokenizer.traces.bpe import Merge, Pair

LIMIT = 20
"""Merges or segmentations that are shown where nothing else is said."""

_WORDS_SHOWN = 12
_DENOMINATORS = 10**9
"""Denominators below this are written; a fraction of a long text has thousands of digits."""

_Choice = TypeVar("_Choice", bound=str)


def tokenizer(arguments: argparse.Namespace) -> int:
    """trace TEXT ...: BPE's merges step by step; with --pieces, Unigram's segmentations and EM"""
    if arguments.words[:1] != ["trace"]:
        given = arguments.words[0] if arguments.words else ""
        raise ConfigError(
            f"tokenizer takes trace and texts, was given {given!r}{nearest(given, ('trace',))}; lmexp "
            f"tokenize shows the tokens of a text."
        )
    texts = [*arguments.words[1:], *(text_lines(arguments.file) if arguments.file is not None else [])]
    if not texts:
        raise ConfigError("tokenizer trace takes at least one TEXT, or --file FILE with one text a line.")
    if arguments.pieces is not None:
        for option in ("ties", "split"):
            if getattr(arguments, option) is not None:
                raise ConfigError(f"--{option} speaks of merges, and --pieces of a model without them.")
        return _unigram(texts, arguments)
    if arguments.em is not None:
        raise ConfigError("--em trains the pieces of a Unigram model; name them with --pieces.")
    return _bpe(texts, arguments)


def _bpe(texts: list[str], arguments: argparse.Namespace) -> int:
    from lmexp.tokenizer.traces.bpe import TIES, WORDS, trace_bpe

    ties = _choice("ties", arguments.ties or "reference", TIES)
    words = _choice("split", arguments.split or "gpt2", WORDS)
    merges = trace_bpe(texts, ties=ties, words=words)
    shown = islice(merges, whole_number("limit", arguments.limit, LIMIT))
    if arguments.json:
        print_json([_as_json(merge) for merge in shown])
        return 0
    for line in merge_lines(shown):
        print(line)
    if next(merges, None) is None:
        print("no pair is left")
    return 0


def merge_lines(merges: "Iterator[Merge]") -> Iterator[str]:
    """Yield a line for each merge, and below it the words that it leaves, where they are few."""
    from lmexp.tokenizer.spelling import spelled

    def pair(two: "Pair") -> str:
        return f"{spelled(two[0])} {spelled(two[1])}"

    for step, merge in enumerate(merges, start=1):
        tied = f"   tied with {', '.join(map(pair, merge.tied[:3]))}" if merge.tied else ""
        more = f" and {len(merge.tied) - 3:,} more" if len(merge.tied) > 3 else ""
        yield f"{step:5}  {merge.count:7,} x  {pair(merge.pair)} -> {spelled(merge.token)}{tied}{more}"
        if len(merge.words) <= _WORDS_SHOWN:
            split = (" ".join(spelled(token)[1:-1] for token in word) for word in merge.words)
            yield f"{'':16}{' | '.join(split)}"


def _unigram(texts: list[str], arguments: argparse.Namespace) -> int:
    from lmexp.tokenizer.traces.unigram import best_segmentation, em, probability, segmentations

    pieces = given_pieces(arguments.pieces)
    limit = whole_number("limit", arguments.limit, LIMIT)
    result: dict[str, Any] = {"texts": [], "em": []}
    lines: list[str] = []
    for text in texts:
        best, total = best_segmentation(text, pieces), probability(text, pieces)
        ways = segmentations(text, pieces, limit)
        result["texts"].append(
            {
                "text": text,
                "prob": _value(total),
                "best": list(best.pieces),
                "best_prob": _value(best.prob),
                "segmentations": [{"pieces": list(way.pieces), "prob": _value(way.prob)} for way in ways],
            }
        )
        lines.append(f"{text!r}: p = {_written(total)}")
        lines += [f"  {'.'.join(way.pieces)}   {_written(way.prob)}" for way in ways]
        lines.append(f"  most likely: {'.'.join(best.pieces)}   {_written(best.prob)}")
    num_steps = whole_number("em", arguments.em, 0, least=0)
    for i, step in enumerate(islice(em(texts, pieces), num_steps), start=1):
        result["em"].append(asdict(step))
        lines.append(f"step {i}: ln p of the texts was {step.log_likelihood:.4f}")
        lines += [
            f"  {piece!r}: expected {step.expected[piece]:.4f} times, p = {number(prob)}"
            for piece, prob in step.probs.items()
        ]
    print_json(result) if arguments.json else print("\n".join(lines))
    return 0


def given_pieces(text: str) -> dict[str, Fraction]:
    """Return the pieces that ``ab=2/3,c=1/3`` gives; without numbers, as in ``ab,c``, all are as likely.

    Errors: `ConfigError` for a piece that is empty or given twice, and for numbers that are no probabilities.
    """
    found: dict[str, Fraction] = {}
    parts = [part.partition("=") for part in text.split(",")]
    for piece, equals, value in parts:
        if not piece or piece in found:
            raise ConfigError(f"--pieces must name each piece once, as in ab=2/3,c=1/3, was {text!r}.")
        try:
            found[piece] = Fraction(value) if equals else Fraction(1, len(parts))
        except (ValueError, ZeroDivisionError):
            raise ConfigError(f"the probability of {piece!r} must be a number, was {value!r}.") from None
        if not 0 <= found[piece] <= 1:
            raise ConfigError(f"the probability of {piece!r} must be between 0 and 1, was {value}.")
    total = float(sum(found.values()))
    if abs(total - 1) > 1e-3:
        raise ConfigError(f"the probabilities of --pieces must sum to 1, was {number(total)}.")
    return found


def _choice(option: str, value: str, choices: Sequence[_Choice]) -> _Choice:
    for choice in choices:
        if value == choice:
            return choice
    raise ConfigError(
        f"--{option} takes one of {', '.join(choices)}, was {value!r}{nearest(value, choices)}."
    )


def _written(prob: Fraction | float) -> str:
    if isinstance(prob, Fraction) and 1 < prob.denominator < _DENOMINATORS:
        return f"{prob} = {number(float(prob))}"
    return number(float(prob))


def _value(prob: Fraction | float) -> str | float:
    return str(prob) if isinstance(prob, Fraction) and prob.denominator < _DENOMINATORS else float(prob)


def _as_json(merge: "Merge") -> dict[str, Any]:
    from lmexp.tokenizer.spelling import spelled

    return {
        "pair": [spelled(part) for part in merge.pair],
        "token": spelled(merge.token),
        "count": merge.count,
        "tied": [[spelled(part) for part in pair] for pair in merge.tied],
        "words": [[spelled(token) for token in word] for word in merge.words],
    }
