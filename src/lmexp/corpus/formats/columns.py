"""Columns of Arrow tables as texts, from Parquet files and from prepared datasets.

A column may be of any of Arrow's types of text (plain, large, view, by dictionary), of bytes that are
UTF-8, or of objects and lists that lead to one of these (``answers.text``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lmexp.corpus.formats.rows import BadRows, no_column, value_texts
from lmexp.errors import DataError


@dataclass(frozen=True, slots=True)
class TextColumn:
    """Where the text of a table is: the column `root` and the `path` of keys inside its values."""

    name: str
    """As the configuration names it."""
    root: str
    path: tuple[str, ...]

    def texts(self, array: Any, first_row: int, place: str, bad: BadRows) -> Iterator[tuple[int, str, str]]:
        """Yield (row, suffix of an id, text) of an Arrow array of `root` that begins at `first_row`."""
        for row, value in enumerate(_values(array), start=first_row):
            where = f"{place}, row {row}"
            if isinstance(value, UnicodeDecodeError):
                bad("not UTF-8", f"{where} is not UTF-8 at its byte {value.start}.")
                continue
            if isinstance(value, Exception):
                bad("no value of Python", f"{where} holds what Python has no value for ({value}).")
                continue
            for suffix, text in value_texts(value, self.path, self.name, where, bad):
                yield row, suffix, text


def text_column(name: str, schema: Any, place: str) -> TextColumn:
    """Return the column that `name` stands for in an Arrow schema: one of that name, or a path into one.

    Errors: `DataError` naming the nearest column, or the type where it is not text.
    """
    root, *path = (name,) if name in schema.names else name.split(".")
    if root not in schema.names:
        raise no_column(place, "column", root, schema.names)
    if schema.names.count(root) > 1:
        raise DataError(f"{place} has several columns {root!r}; give each a name of its own.")
    kind = schema.field(root).type
    for key in path:
        kind = _inside(kind)
        names = [field.name for field in kind] if _is_struct(kind) else []
        if key not in names:
            raise no_column(place, "key", name, names, missing=key)
        kind = kind.field(key).type
    if not _is_text(_inside(kind)):
        raise DataError(f"{place}: the column {name!r} must be text, was {kind}.")
    return TextColumn(name, root, tuple(path))


def _inside(kind: Any) -> Any:
    """Return the type of what lists, dictionaries and extensions of Arrow hold."""
    import pyarrow as pa

    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif hasattr(kind, "value_type"):
            kind = kind.value_type
        else:
            return kind


def _is_struct(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind))


def _is_text(kind: Any) -> bool:
    import pyarrow.types as t

    text = (t.is_string, t.is_large_string, t.is_string_view)
    data = (t.is_binary, t.is_large_binary, t.is_binary_view, t.is_fixed_size_binary)
    return t.is_null(kind) or any(test(kind) for test in (*text, *data))


def _values(array: Any) -> Sequence[Any]:
    """Return the values of an array, and in place of one its error.

    Arrow does not promise that text is UTF-8, and has dates, beside a text in an object, that Python has not.
    """
    try:
        return array.to_pylist()  # type: ignore[no-any-return]
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in array]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        return error
