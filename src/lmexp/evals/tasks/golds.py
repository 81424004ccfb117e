"""Which choice is right, as files say it: one rule for the whole file, never a guess from one row.

    position   0 is the first choice        number   1 is the first choice
    letter     A (or a) is the first one    text     the text of the choice
    label      a letter or a number from 1, as ARC has both in one file

Where a task names no rule, every row is tried under each. One that alone reads all rows is taken, and so
are several that read the same choice in every row. Rows that two rules read differently are refused with the
key that decides: a file of 1 to 4 would be read one too high as positions, and neither choice can be told
from the other. `label` is tried where nothing simpler reads all rows.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lmexp.errors import DataError, nearest

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Gold:
    """What a row says of the right choice, and the choices that it has."""

    place: str
    value: Any
    texts: Sequence[str]


def _position(gold: Gold, first: int = 0) -> int | None:
    value = gold.value
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value - first if 0 <= value - first < len(gold.texts) else None


def _number(gold: Gold) -> int | None:
    return _position(gold, first=1)


def _letter(gold: Gold) -> int | None:
    value = gold.value.strip().upper() if isinstance(gold.value, str) else ""
    place = LETTERS.find(value) if len(value) == 1 else -1
    return place if 0 <= place < len(gold.texts) else None


def _label(gold: Gold) -> int | None:
    place = _letter(gold)
    return _number(gold) if place is None else place


def _text(gold: Gold) -> int | None:
    if isinstance(gold.value, bool) or not isinstance(gold.value, str | int | float):
        return None
    return gold.texts.index(str(gold.value)) if str(gold.value) in gold.texts else None


RULES: dict[str, Callable[[Gold], int | None]] = {
    "position": _position,
    "number": _number,
    "letter": _letter,
    "text": _text,
    "label": _label,
}
"""From a rule's name to how it reads: the position of the right choice, or None for what it cannot read."""

_WORDS = {
    "position": "a position from 0 to {last}",
    "number": "a number from 1 to {count}",
    "letter": "a letter from A to {letter}",
    "text": "the text of a choice",
    "label": "a letter from A to {letter} or a number from 1 to {count}",
}


_SIMPLE = tuple(name for name in RULES if name != "label")


def choose_rule(golds: Sequence[Gold], key: str, *, tolerant: bool = False) -> str:
    """Return the name of the rule that reads the rows, which say it under `key`.

    A `tolerant` choice takes the rule that reads most rows, for files whose odd rows are dropped.
    Errors: `DataError` where two rules read the rows differently, or (unless `tolerant`) none reads all.
    """
    places = {name: [rule(gold) for gold in golds] for name, rule in RULES.items()}
    counts = {name: sum(place is not None for place in own) for name, own in places.items()}
    most = max(counts[name] for name in _SIMPLE)
    if counts["label"] > most and (tolerant or counts["label"] == len(golds)):
        return "label"
    fits = [name for name in _SIMPLE if counts[name] == most]
    if most < len(golds) and not tolerant:
        rule = fits[0]
        odd = next(gold for gold, place in zip(golds, places[rule], strict=True) if place is None)
        raise unread(odd, key, rule if most else None, rows=f"{most:,} of {len(golds):,}")
    for gold, *read in zip(golds, *(places[name] for name in fits), strict=True):
        if len(set(read)) > 1:
            raise _ambiguous(gold, key, dict(zip(fits, read, strict=True)))
    return fits[0]


def read_gold(gold: Gold, key: str, rule: str) -> int:
    """Return the position of the right choice. Errors: `DataError` for a value that `rule` cannot read."""
    place = RULES[rule](gold)
    if place is None and rule == "position" and isinstance(gold.value, bool) and len(gold.texts) == 2:
        return int(gold.value)  # only where the file says that false is 0: yes and no come in either order
    if place is None:
        raise unread(gold, key, rule)
    return place


def unread(gold: Gold, key: str, rule: str | None, rows: str = "") -> DataError:
    """Return the error for a value that `rule`, or any, cannot read; `rows` says how many it reads."""
    count = len(gold.texts)
    words = {"last": count - 1, "count": count, "letter": LETTERS[min(count, len(LETTERS)) - 1]}
    must = " or ".join(_WORDS[name].format(**words) for name in ([rule] if rule else _SIMPLE))
    others = [name for name in _SIMPLE if RULES[name](gold) is not None]
    hint = nearest(gold.value, gold.texts) if isinstance(gold.value, str) else ""
    if isinstance(gold.value, bool) and count == 2:
        hint = "; `gold_is: position` takes false for choice 0 and true for choice 1"
    elif others:
        hint = (
            f", which is {_WORDS[others[0]].format(**words)}; one rule holds for a file (`gold_is` names it)"
        )
    as_in = f" as in {rows} rows" if rule and rows else ""
    return DataError(f"{gold.place}, key {key!r} must be {must}{as_in}, was {gold.value!r}{hint}.")


def _ambiguous(gold: Gold, key: str, read: dict[str, int | None]) -> DataError:
    said = [
        f"{gold.texts[place]!r} as {name}" if place is not None else f"nothing as {name}"
        for name, place in read.items()
    ]
    keys = " or ".join(f"`gold_is: {name}`" for name in read)
    return DataError(
        f"{gold.place}, key {key!r}: {gold.value!r} stands for {', '.join(said[:-1])} and {said[-1]}, and no "
        f"other row decides; say in the task file which it is, with {keys}."
    )
