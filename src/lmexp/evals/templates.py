"""Templates of prompts: text in which {name} stands for a value, and nothing else is possible.

A template has the braces of `str.format` without its reach: a name is a key of the row, and neither an
attribute, an index, a conversion nor a format can be asked for, so that a task file holds no code.
``{{`` and ``}}`` are braces.
"""

import re
import string
from collections.abc import Collection, Mapping
from typing import Any

from lmexp.errors import DataError, nearest

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
            if name is not None and (form or conversion or not _NAME.fullmatch(name)):
                asked = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                raise DataError(
                    f"{where}: {{{asked}}} is not a plain name; a template may only name keys of a row, as "
                    f"in {{question}}, and {{{{ and }}}} stand for braces."
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


def lookup(row: Mapping[str, Any], key: str, place: str, hidden: Collection[str] = ()) -> Any:
    """Return ``row[key]``. Errors: `DataError` naming the place, the key and the nearest one."""
    if key not in row:
        keys = [k for k in row if k not in hidden]
        raise DataError(
            f"{place}: there is no key {key!r}{nearest(key, keys)}; its keys are {', '.join(keys)}."
        )
    return row[key]


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


def _kind(value: Any) -> str:
    words = {bool: "true or false", list: "a list", dict: "an object", type(None): "null"}
    return words.get(type(value), type(value).__name__)
