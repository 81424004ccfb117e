"""A back-off model read from an ARPA file, plain or gzip's, whoever wrote it (`arpa_writing` has the format).

    p(w | c) = the listed probability of c w, or else back-off(c) x p(w | c'), 1 for a c that is not listed

Ids are the words in the order of the unigrams; `<s>` and `</s>` are one id, the place of `</s>`. Whether the
numbers sum to one is the file's business: who must know asks for a distribution. -99 and below is p = 0.
"""

import gzip
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from lmexp.errors import DataError
from lmexp.models.families.ngram.arpa_writing import BEGIN, END
from lmexp.models.families.ngram.grams import Ints, find
from lmexp.models.families.ngram.lookups import Lookups
from lmexp.models.families.ngram.smoothing import Floats, Smoothed, Weights

_ZERO = -99.0


class ArpaModel(Lookups):
    """A model that an ARPA file lists. Made by `read_arpa`."""

    is_bound: bool = False
    is_normalized: bool = True
    words: list[str]
    """The word of each id; `</s>` also stands for `<s>`."""


def read_arpa(path: Path) -> ArpaModel:
    """Return the model in an ARPA file.

    Errors: `DataError` naming the file and the line or the list that is damaged: a list that is missing, too
    short or too long, a number that is none, a word that is no unigram, an n-gram that comes twice or whose
    beginning is not listed, and no `<s>` or `</s>`.
    """
    try:
        with path.open("rb") as raw, _opened(raw) as file:
            return _Reader(path, enumerate(file, start=1)).model()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as an ARPA file ({error}); is it one, and whole?") from error


def _opened(raw: io.BufferedReader) -> io.TextIOBase:
    if raw.peek(2)[:2] == b"\x1f\x8b":
        return gzip.open(raw, "rt", encoding="utf-8", newline="\n")
    return io.TextIOWrapper(raw, encoding="utf-8", newline="\n")


class _Reader:
    """The lines of one file, read from top to bottom."""

    def __init__(self, path: Path, lines: Iterator[tuple[int, str]]) -> None:
        self._path, self._line = path, 0
        self._texts = self._numbered(lines)
        self._ids: dict[str, int] = {}
        self._keys: list[Ints] = []

    def _numbered(self, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
        """Yield each line, which is the current one then."""
        for number, text in lines:
            self._line = number
            yield text

    def model(self) -> ArpaModel:
        """Return what the file lists."""
        sizes = self._sizes()
        words, unigram, backs = self._unigrams(sizes[0])
        orders = []
        for n, size in enumerate(sizes[1:], start=2):
            left_over = np.append(backs, 1.0)
            own, backs = self._order(n, size)
            orders.append(Weights(own=np.append(own, 0.0), left_over=left_over))
        self._expect("\\end\\")
        model = ArpaModel(
            self._keys,
            Smoothed(unigram=unigram, orders=orders, rule="backoff"),
            bos_token_id=self._ids[END],
        )
        model.words = words
        return model

    def _sizes(self) -> list[int]:
        """Return how many n-grams of each order the header promises."""
        for text in self._texts:
            if text.strip() == "\\data\\":
                break
        sizes: list[int] = []
        for text in self._texts:
            line = text.strip()
            if not line:
                break
            name, _, size = line.partition("=")
            if name.split() != ["ngram", str(len(sizes) + 1)] or not size.strip().isdigit():
                raise self._error(f"must be 'ngram {len(sizes) + 1}=' and a number, is {line!r}")
            sizes.append(int(size))
        if not sizes:
            raise self._error("ends without a list of sizes after \\data\\; is it an ARPA file?")
        return sizes

    def _unigrams(self, size: int) -> tuple[list[str], Floats, Floats]:
        """Return the words, the probability of each and its back-off; `<s>` has given its own to `</s>`."""
        rows, probs, backs = self._rows(1, size)
        words = [row[0] for row in rows]
        if len(set(words)) != len(words) or BEGIN not in words or END not in words:
            raise self._error(f"ends a list of unigrams that lacks {BEGIN} or {END}, or has a word twice")
        begin = words.index(BEGIN)
        backs[words.index(END)] = backs[begin]
        kept = np.arange(len(words)) != begin
        words.pop(begin)
        self._ids = {word: i for i, word in enumerate(words)}
        return words, probs[kept], backs[kept]

    def _order(self, n: int, size: int) -> tuple[Floats, Floats]:
        """Return the probabilities and back-offs of one order, by ascending keys, which are kept."""
        rows, probs, backs = self._rows(n, size)
        vocab_size, bos = len(self._ids), self._ids[END]
        ids = np.array([self._numbers(row, n) for row in rows], dtype=np.int64).reshape(len(rows), n)
        if (ids[:, 1:-1] == bos).any():
            raise self._error(f"ends a list of {n}-grams, one of which goes on after {END} or over {BEGIN}")
        contexts = ids[:, 0]
        for keys, tokens in zip(self._keys, ids[:, 1:-1].T, strict=True):
            contexts = find(keys, contexts, tokens, vocab_size)
        if (contexts < 0).any():
            row = " ".join(rows[int(np.argmin(contexts))])
            raise self._error(
                f"ends a list of {n}-grams with {row!r}; its first {n - 1} words are not listed"
            )
        keys = contexts * vocab_size + ids[:, -1]
        order = np.argsort(keys)
        keys = keys[order]
        if (keys[1:] == keys[:-1]).any():
            twice = rows[int(order[int(np.argmax(keys[1:] == keys[:-1]))])]
            raise self._error(f"ends a list of {n}-grams that has {' '.join(twice)!r} twice")
        self._keys.append(keys)
        return probs[order], backs[order]

    def _numbers(self, row: list[str], n: int) -> list[int]:
        """Return the ids of an n-gram's words."""
        if row[0] == END or row[-1] == BEGIN:
            raise self._error(f"ends a list of {n}-grams with {' '.join(row)!r}; {BEGIN} begins, {END} ends")
        try:
            return [self._ids[END if word == BEGIN else word] for word in row]
        except KeyError as error:
            raise self._error(f"ends a list of {n}-grams with {error}, which is no unigram") from None

    def _rows(self, n: int, size: int) -> tuple[list[list[str]], Floats, Floats]:
        """Return the words, probability and back-off of each of `size` n-grams, whose list comes next."""
        self._expect(f"\\{n}-grams:")
        rows: list[list[str]] = []
        logs, backs = np.zeros(size), np.zeros(size)
        for text in islice(self._texts, size):
            parts = text.split()
            try:
                logs[len(rows)] = float(parts[0])
                if len(parts) == n + 2:
                    backs[len(rows)] = float(parts.pop())
            except (ValueError, IndexError):
                raise self._error(f"must be a number, {n} words and a number, is {text.strip()!r}") from None
            if len(parts) != n + 1 or not logs[len(rows)] <= 0:
                raise self._error(f"must be log10 p <= 0, {n} words and a number, is {text.strip()!r}")
            rows.append(parts[1:])
        if len(rows) < size:
            raise self._error(f"ends the file after {len(rows)} of {size} {n}-grams; is it whole?")
        return rows, np.where(logs > _ZERO, 10**logs, 0.0), 10**backs

    def _expect(self, line: str) -> None:
        """Read on to the next line that is not blank. Errors: `DataError` where it is another."""
        text = ""
        for text in self._texts:
            if text.strip():
                break
        if text.strip() != line:
            raise self._error(f"must be {line}, is {text.strip()!r}")

    def _error(self, what: str) -> DataError:
        return DataError(f"{self._path}: line {self._line} {what}.")
