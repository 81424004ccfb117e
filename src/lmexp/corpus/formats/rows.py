"""What a row of data holds: the text at a column, or the reason why it holds none.

A column is a key, or a path of keys joined by dots (``answers.text``); a key that is itself spelt with
dots wins. Where the path leads through lists or ends in one, each element is a text of its own.

A row that holds no text is either an error, which names the row, or left out and counted under its
reason (`BadRows`). What is wrong with a whole file, such as a column that a table lacks or damaged
compression, is always an error.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lmexp.errors import DataError, nearest

_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class BadRows:
    """What becomes of rows that hold no text: the first is an error, or all are left out and counted."""

    def __init__(self, dropped: Counter[str], *, drop: bool) -> None:
        self._dropped, self._drop = dropped, drop

    def __call__(self, reason: str, sentence: str) -> None:
        """Count a row under `reason`, or raise `DataError` with the `sentence`, which ends in a full stop."""
        if not self._drop:
            raise DataError(
                f"{sentence.removesuffix('.')}; corpus.on_bad_row=drop leaves out what cannot be used and "
                f"counts it."
            )
        self._dropped[reason] += 1


def row_texts(row: object, column: str, place: str, bad: BadRows) -> Iterator[tuple[str, str]]:
    """Yield (what follows the row's name in an id, text) for each text at `column` of an object.

    `place` names the row in messages. What is no text goes to `bad`.
    """
    if not isinstance(row, Mapping):
        sentence = f"{place} must be a JSON object with the key {column!r}, was {_kind(row)}."
        return bad("not an object", sentence)
    if column in row:
        yield from value_texts(row[column], (), column, place, bad)
    else:
        yield from value_texts(row, tuple(column.split(".")), column, place, bad)


def value_texts(
    value: object, path: tuple[str, ...], column: str, place: str, bad: BadRows
) -> Iterator[tuple[str, str]]:
    """Yield (suffix of an id, text) for each text at `path` of a value of the field `column`."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            for suffix, text in value_texts(item, path, column, f"{place}, element {i}", bad):
                yield f":{i}{suffix}", text
    elif not path:
        found = _text(value, column, place, bad)
        if found is not None:
            yield "", found
    elif not isinstance(value, Mapping):
        _refuse(value, column, place, bad)
    elif path[0] not in value:
        bad("no column", str(no_column(place, "key", column, list(value), missing=path[0])))
    else:
        yield from value_texts(value[path[0]], path[1:], column, place, bad)


def _text(value: object, column: str, place: str, bad: BadRows) -> str | None:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            bad("not UTF-8", f"{place} is not UTF-8 at its byte {error.start}.")
            return None
    if not isinstance(value, str):
        _refuse(value, column, place, bad)
        return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        bad(
            "half a surrogate pair",
            f"{place}: {column!r} holds half of a surrogate pair at character {error.start}, which is not "
            f"text; write the whole pair or remove it.",
        )
        return None
    return value


def _refuse(value: object, column: str, place: str, bad: BadRows) -> None:
    bad("null" if value is None else "not text", f"{place}: {column!r} must be text, was {_kind(value)}.")


def no_column(
    place: str, what: str, column: str, names: list[Any], *, missing: str | None = None
) -> DataError:
    """Return the error for a key or a column (`what`) that is not among the `names` at `place`.

    `missing` is the part of the path `column` that is not there, where it is not the whole.
    """
    known = ", ".join(map(repr, names)) or "none"
    part = missing if missing is not None else column
    of = f" for {column!r}" if part != column else ""
    return DataError(
        f"{place} has no {what} {part!r}{of}{nearest(part, names)}; its {what}s are: {known}. "
        f"Set corpus.text_column, or `column` of the source, to the {what} that holds the text."
    )


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")
