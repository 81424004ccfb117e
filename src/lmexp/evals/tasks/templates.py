"""Templates of prompts: text in which {name} stands for a value, and nothing else is possible.

A template has the braces of `str.format` without its reach: a name is a key of the row, or a path of keys
with dots between them, and neither an attribute, a conversion nor a format can be asked for, so that a task
file holds no code. ``{{`` and ``}}`` are braces.

    {question}          row["question"]; the key may hold spaces and hyphens inside
    {answers.text}      row["answers"]["text"], unless the row has a key "answers.text"
    {answers.text.0}    the first of a list
    {choices.text}      of a list of objects, the list of their texts
"""

import re
import string
from collections.abc import Collection, Mapping
from typing import Any

from lmexp.errors import DataError, nearest

_NAME = re.compile(r"[^\W\d](?:[\w -]*\w)?(?:\.\w(?:[\w -]*\w)?)*")
_WORD = re.compile(r"[^\W\d]\w*")
_MOST_DIGITS = 18
"""Digits of a place in a list; no list has more entries."""


class Template:
    """A text with names to fill in."""

    def __init__(self, text: str, where: str) -> None:
        """Read `text`; `where` begins the sentence of each error.

        Errors: `DataError` for a lone brace or anything but a plain name between braces.
        """
        self.text = text
        self._where = where
        self._parts: list[tuple[str, str | None]] = []
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise DataError(f"{where}: {error} in {text!r}; write {{{{ and }}}} for braces.") from None
        for literal, name, form, conversion in parsed:
            if name is not None and (form or conversion or not _is_plain(name)):
                asked = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                bare = name.strip()
                raise DataError(
                    f"{where}: {{{asked}}} is not a plain name; a template may only name keys of a row, as "
                    f"in {{{bare if bare != name and _is_plain(bare) else 'question'}}}, and {{{{ and }}}} "
                    f"stand for braces."
                )
            self._parts.append((literal, name))

    @property
    def names(self) -> set[str]:
        """The names that it needs."""
        return {name for _, name in self._parts if name is not None}

    def render(self, values: Mapping[str, Any], place: str) -> str:
        """Return the text with `values` filled in; `place` says where they are from.

        Errors: `DataError` for a name without a value, with the nearest, or a value that is neither text
        nor a number.
        """
        filled = [
            literal + ("" if name is None else as_text(lookup(values, name, place), f"{place}, key {name!r}"))
            for literal, name in self._parts
        ]
        return "".join(filled)

    def refuse_constant(self, keys: Collection[str], *, whole: bool = False) -> None:
        """Refuse a text that is the same for every row though it speaks of a key of theirs.

        So it is where braces are doubled, and where they are missing: a text without names that holds a key
        as a word, or (`whole`) is nothing but a key.
        Errors: `DataError` naming the key.
        """
        refuse_unfilled(self.text_of_literals, keys, self._where, "doubled braces are braces; write one pair")
        if self.names:
            return
        text = self.text.strip()
        found = next((key for key in keys if text == key), None)
        if found is None and not whole:
            found = next((word for word in _WORD.findall(text) if word in keys), None)
        close = nearest(text, keys) if _WORD.fullmatch(text) and not whole else ""
        if found is not None or close:
            like = f"{{{found}}}" if found is not None else f"a key in braces{close}"
            raise DataError(
                f"{self._where} is {self.text!r}, the same text for every row; write {like} where the row's "
                f"own text is to stand (text that is the same for all belongs in `description`)."
            )

    @property
    def text_of_literals(self) -> str:
        """What stands outside of its names."""
        return "".join(literal for literal, _ in self._parts)


def refuse_unfilled(text: str, keys: Collection[str], where: str, hint: str) -> None:
    """Refuse a text that shows ``{key}`` to the model. Errors: `DataError` with `hint` as the remedy."""
    for key in keys:
        if re.search(r"\{\s*" + re.escape(key) + r"\s*\}", text):
            raise DataError(f"{where} shows {{{key}}} as it is, for every row: {hint}.")


def lookup(row: Mapping[str, Any], key: str, place: str) -> Any:
    """Return what `key`, a key or a path of keys with dots, stands for in `row`.

    Errors: `DataError` naming the place, the key and the nearest one.
    """
    if key in row:
        return row[key]
    value: Any = row
    for part in key.split("."):
        value = _step(value, part, key, place)
    return value


def _step(value: Any, part: str, key: str, place: str) -> Any:
    if isinstance(value, Mapping):
        if part in value:
            return value[part]
        among = "" if part == key else f" ({part!r} is not among them)"
        raise DataError(
            f"{place}: there is no key {key!r}{nearest(part, value)}; its keys are {', '.join(value)}{among}."
        )
    if isinstance(value, list) and part.isdecimal():
        if len(part) <= _MOST_DIGITS and int(part) < len(value):
            return value[int(part)]
        raise DataError(f"{place}: there is no key {key!r}: the list has {len(value)} entries.")
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return [_step(one, part, key, place) for one in value]
    raise DataError(f"{place}: there is no key {key!r}: {part!r} is asked of {_kind(value)}.")


def as_text(value: Any, place: str) -> str:
    """Return text as it is and a number as Python writes it. Errors: `DataError` for anything else."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            message = f"{place} holds half of a surrogate pair at character {error.start}."
            raise DataError(message) from None
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise DataError(f"{place} must be text or a number, was {_kind(value)}.")


def _is_plain(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and not any(p.startswith("__") for p in name.split("."))


def _kind(value: Any) -> str:
    words = {
        bool: "true or false",
        list: "a list",
        dict: "an object",
        type(None): "null",
        str: "text",
        int: "a number",
        float: "a number",
    }
    return words.get(type(value), type(value).__name__)
