"""Counts of a text past memory: each chunk's n-grams lie on disk as a run, and all are merged in one pass.

A run holds, for each order, the sorted keys of one chunk, their counts and their suffixes, as indices within
the run. Orders are merged from below. Once those of order n - 1 are, each run knows the index that each of
its n-grams got there, and its keys and suffixes of order n are rewritten: keys stay ascending. Then all runs
are read side by side, BLOCK keys of each at a time: up to the least of the blocks' last keys nothing smaller
can come, and what lies there is sorted, added up and appended to the joined order.

Memory is one run, and BLOCK x 24 bytes for each run, whatever the length of the text; the disk holds each
n-gram of each run, 32 bytes, and the joined orders, 24 bytes. The joined arrays are files that are mapped
into memory, which the system reads where they are needed and forgets where it must.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmexp.models.families.ngram.grams import Ints, Level, is_first, rewritten

BLOCK = 2**16
"""Keys of each run that are held at a time, but for what MOST_HELD leaves for many runs."""

MOST_HELD = 2**24
"""Most keys of all runs together that are held at a time."""


class Runs:
    """Runs in a folder, which is empty at first and whose files are the caller's to delete."""

    def __init__(self, folder: Path, vocab_size: int) -> None:
        self._folder, self._vocab_size = folder, vocab_size
        self._num_runs = self._num_orders = 0

    def add(self, levels: list[Level]) -> None:
        """Write the n-grams of one chunk, orders 2 upwards."""
        for n, level in enumerate(levels):
            for name in ("keys", "counts", "suffixes"):
                getattr(level, name).tofile(self._path(self._num_runs, n, name))
        self._num_runs, self._num_orders = self._num_runs + 1, len(levels)

    def joined(self) -> list[Level]:
        """Return the levels of all runs together, their counts added, as maps of files in the folder."""
        return [self._merged(n) for n in range(self._num_orders)]

    def _merged(self, n: int) -> Level:
        for run in range(self._num_runs):
            self._rewrite(run, n)
        paths = {name: self._folder / f"joined.{n}.{name}" for name in ("keys", "counts", "suffixes")}
        files = {name: path.open("wb") for name, path in paths.items()}
        places = [self._path(run, n, "places").open("ab") for run in range(self._num_runs)]
        size = 0
        try:
            for blocks in self._blocks(n):
                union = np.sort(np.concatenate([keys for keys, _, _ in blocks]))
                union = union[is_first(union)]
                counts, suffixes = np.zeros((2, len(union)), dtype=np.int64)
                for (keys, own_counts, own_suffixes), file in zip(blocks, places, strict=True):
                    found = np.searchsorted(union, keys)
                    counts[found] += own_counts
                    suffixes[found] = own_suffixes
                    (found + size).tofile(file)
                for name, array in (("keys", union), ("counts", counts), ("suffixes", suffixes)):
                    array.tofile(files[name])
                size += len(union)
        finally:
            for file in (*files.values(), *places):
                file.close()
        return Level(**{name: _mapped(path) for name, path in paths.items()})

    def _rewrite(self, run: int, n: int) -> None:
        """Give a run's n-grams of one order the joined indices of the order below."""
        if n == 0:
            return  # below are tokens, whose index is their id
        new = np.fromfile(self._path(run, n - 1, "places"), dtype=np.int64)
        keys, suffixes = (self._path(run, n, name) for name in ("keys", "suffixes"))
        rewritten(np.fromfile(keys, dtype=np.int64), new, self._vocab_size).tofile(keys)
        new[np.fromfile(suffixes, dtype=np.int64)].tofile(suffixes)

    def _blocks(self, n: int) -> Iterator[list[tuple[Ints, Ints, Ints]]]:
        """Yield what lies between two keys in each run: keys, counts and suffixes."""
        block = max(1, min(BLOCK, MOST_HELD // self._num_runs))
        begins = [0] * self._num_runs
        sizes = [self._path(run, n, "keys").stat().st_size // 8 for run in range(self._num_runs)]
        while any(begin < size for begin, size in zip(begins, sizes, strict=True)):
            heads = [self._read(run, n, "keys", begin, block) for run, begin in enumerate(begins)]
            going_on = [
                int(head[-1])
                for head, begin, size in zip(heads, begins, sizes, strict=True)
                if begin + len(head) < size
            ]
            found = []
            for run, head in enumerate(heads):
                num = int(np.searchsorted(head, min(going_on), side="right")) if going_on else len(head)
                counts, suffixes = (
                    self._read(run, n, name, begins[run], num) for name in ("counts", "suffixes")
                )
                found.append((head[:num], counts, suffixes))
                begins[run] += num
            yield found

    def _read(self, run: int, n: int, name: str, begin: int, num: int) -> Ints:
        return np.fromfile(self._path(run, n, name), dtype=np.int64, count=num, offset=8 * begin)

    def _path(self, run: int, n: int, name: str) -> Path:
        return self._folder / f"{run}.{n}.{name}"


def _mapped(path: Path) -> NDArray[np.int64]:
    """Return a file's numbers; one of no bytes cannot be mapped."""
    if not path.stat().st_size:
        return np.zeros(0, dtype=np.int64)
    return np.memmap(path, dtype=np.int64, mode="r")
