"""Where two files differ that should be alike: the first tensor, row, element or byte, and by how much.

Weights (safetensors), tables (Parquet), lines of JSON, JSON and arrays (npy) are read as what they are, and
anything else is compared byte by byte; numpy reads the tensors, and nothing here imports torch. A file of
bare numbers does not say how wide they are, so that a byte in it is also given as an element.
"""

import itertools
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lmexp.core.values.files import parse_json, read_json

_BLOCK = 1 << 20
_SHOWN = 60
_KINDS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
"""What safetensors calls numpy's types; BF16 is the upper half of F32."""


def first_difference(old: Path, new: Path) -> str:
    """Return where `new` first differs from `old` and how, in a few words; empty where it does not."""
    readers = {
        ".safetensors": _tensors,
        ".parquet": _parquet,
        ".jsonl": _lines,
        ".json": _json,
        ".npy": _array,
    }
    for path in (old, new):
        if not path.is_file():
            return "is missing" if path == new else "is new"
    try:
        found = readers.get(old.suffix, _bytes)(old, new)
    except Exception:  # whatever a library raises for a file that is not what its name says
        found = ""
    return found or _bytes(old, new)


def _tensors(old: Path, new: Path) -> str:
    a, b = _read_tensors(old), _read_tensors(new)
    if list(a) != list(b):
        return _names("tensor", a, b)
    for name in a:
        (kind, first), (other, second) = a[name], b[name]
        if kind != other or first.shape != second.shape:
            return f"tensor {name} is {other}{list(second.shape)} instead of {kind}{list(first.shape)}"
        found = _elements(first, second)
        if found:
            others = sum(bool(_elements(a[n][1], b[n][1])) for n in a) - 1
            return f"tensor {name}{found}" + (f"; {others} more tensors differ" if others else "")
    return ""


def _read_tensors(path: Path) -> dict[str, tuple[str, "np.ndarray[Any, Any]"]]:
    """Return the tensors of a safetensors file in the order in which they lie there, memory-mapped."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = parse_json(file.read(size))
    data = np.memmap(path, mode="r", offset=8 + size) if path.stat().st_size > 8 + size else np.empty(0, "u1")
    entries = ((name, entry) for name, entry in header.items() if name != "__metadata__")
    tensors = {}
    for name, entry in sorted(entries, key=lambda item: item[1]["data_offsets"]):
        kind, (begin, end) = entry["dtype"], entry["data_offsets"]
        raw = np.asarray(data[begin:end])
        if kind == "BF16":
            tensor = (raw.view("<u2").astype("<u4") << 16).view("<f4").reshape(entry["shape"])
        elif kind in _KINDS:
            tensor = raw.view(_KINDS[kind]).reshape(entry["shape"])
        else:  # of eight bits or fewer: shown as bytes
            tensor = raw
        tensors[name] = (kind, tensor)
    return tensors


def _array(old: Path, new: Path) -> str:
    a, b = (np.load(path, mmap_mode="r", allow_pickle=False) for path in (old, new))
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"the array is {b.dtype}{list(b.shape)} instead of {a.dtype}{list(a.shape)}"
    return _elements(a, b).lstrip()


def _elements(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]") -> str:
    """Return the first place where two arrays differ, the largest difference and how many there are."""
    one, two = np.atleast_1d(a), np.atleast_1d(b)
    unlike = one != two
    if one.dtype.kind == "f":
        unlike &= ~(np.isnan(one) & np.isnan(two))
    if not unlike.any():
        return ""
    place = tuple(int(i) for i in np.unravel_index(int(unlike.argmax()), unlike.shape))
    where = f" at [{', '.join(map(str, place))}]: {one[place].item()!r} -> {two[place].item()!r}"
    if one.dtype.kind not in "fiub":
        return where
    with np.errstate(invalid="ignore"):  # what is not finite is far from everything
        apart = np.nan_to_num(np.abs(one[unlike].astype("f8") - two[unlike].astype("f8")), nan=np.inf)
    return f"{where}; {int(unlike.sum()):,} of {unlike.size:,} differ, by {apart.max():.3g} at most"


def _parquet(old: Path, new: Path) -> str:
    from pyarrow import parquet

    with parquet.ParquetFile(old) as a, parquet.ParquetFile(new) as b:
        if a.schema_arrow != b.schema_arrow:
            return _names("column", a.schema_arrow.names, b.schema_arrow.names) or "the columns' types differ"
        before = 0
        for first, second in zip(a.iter_batches(1000), b.iter_batches(1000), strict=False):
            if not first.equals(second):
                for row, (x, y) in enumerate(zip(first.to_pylist(), second.to_pylist(), strict=False)):
                    if x != y:
                        return f"row {before + row}, {_values(x, y)}"
            before += len(first)
        counts = (a.metadata.num_rows, b.metadata.num_rows)
        return f"has {counts[1]:,} rows instead of {counts[0]:,}" if counts[0] != counts[1] else ""


def _lines(old: Path, new: Path) -> str:
    with old.open("rb") as a, new.open("rb") as b:
        for number, (first, second) in enumerate(itertools.zip_longest(a, b), start=1):
            if first is None:
                return f"has {1 + sum(1 for _ in b)} more lines"
            if second is None:
                return f"has {1 + sum(1 for _ in a)} fewer lines"
            if first != second:
                return f"line {number}, {_values(parse_json(first), parse_json(second))}"
    return ""


def _json(old: Path, new: Path) -> str:
    return _values(*(read_json(path) for path in (old, new)))


def _values(a: Any, b: Any) -> str:
    """Return the first key at which two JSON values differ, with both values."""
    for key, x, y in _leaves(a, b, ""):
        number = isinstance(x, int | float) and isinstance(y, int | float) and math.isfinite(x - y)
        apart = f", {y - x:+.3g}" if number else ""
        return f"{f'key {key}: ' if key else ''}{_shown(x)} -> {_shown(y)}{apart}"
    return ""


def _leaves(a: Any, b: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for name in [*a, *(n for n in b if n not in a)]:
            yield from _leaves(a.get(name), b.get(name), f"{key}.{name}" if key else str(name))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _leaves(x, y, f"{key}[{index}]")
    elif a != b or type(a) is not type(b):
        yield key, a, b


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _names(what: str, a: Any, b: Any) -> str:
    gone, added = [n for n in a if n not in set(b)], [n for n in b if n not in set(a)]
    if gone or added:
        return f"{what} {gone[0]} is missing" if gone else f"{what} {added[0]} is new"
    return f"the order of its {what}s differs" if list(a) != list(b) else ""


def _bytes(old: Path, new: Path) -> str:
    """Return the first byte in which two files differ."""
    offset = 0
    with old.open("rb") as a, new.open("rb") as b:
        while True:
            first, second = a.read(_BLOCK), b.read(_BLOCK)
            if first != second:
                break
            if not first:
                return ""
            offset += len(first)
    common = min(len(first), len(second))
    place = next((i for i in range(common) if first[i] != second[i]), common)
    sizes = (old.stat().st_size, new.stat().st_size)
    length = f"; it has {sizes[1]:,} bytes instead of {sizes[0]:,}" if sizes[0] != sizes[1] else ""
    if place == common:
        return f"ends at byte {offset + place}{length}"
    at = offset + place
    element = f" (element {at // 2} of two bytes, {at // 4} of four)" if old.suffix == ".bin" else ""
    return f"byte {at}{element}: {first[place]:#04x} -> {second[place]:#04x}{length}"
