"""Texts that end a text: what stands before the first of them is what was written.

White space at the beginning of what is written ends nothing: it belongs to the delimiter between prompt and
answer. After "A:" a model begins with " 7", which a stop of " " would cut to nothing.
"""

from collections.abc import Sequence


def cut(text: str, stops: Sequence[str]) -> str:
    """Return what stands before the first of the texts `stops`, white space at the beginning apart."""
    return text[: _end(text, stops)]


def is_ended(text: str, stops: Sequence[str]) -> bool:
    """Return whether one of `stops` stands in `text` after the white space at its beginning."""
    return _end(text, stops) is not None


def held_back(text: str, stops: Sequence[str]) -> int:
    """Return how many characters at the end of `text` what follows may still change.

    They may be bytes of a character that is not whole yet, shown as U+FFFD, or the beginning of a stop.
    """
    partial = len(text) - len(text.rstrip("\ufffd"))
    begun = max((n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
    return max(partial, begun)


def _end(text: str, stops: Sequence[str]) -> int | None:
    begin = len(text) - len(text.lstrip())
    return min((place for stop in stops if (place := text.find(stop, begin)) >= 0), default=None)
