"""Quality and repetition filters: why a document is dropped, if it is.

The measures are those of Gopher (Rae et al., arXiv 2112.11446, appendix A1.1), on words that white
space separates. A text is split into words, lines and paragraphs once, and only where a filter that
is on needs them; n-grams of words are numbered by sorting, exactly.

Two measures are stated here more narrowly than in the paper. Characters are counted once, however
many n-grams cover them, so that a share is at most 1. And an n-gram repeats only from its second
occurrence on: what occurs once repeats nothing.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lmexp.corpus.filter_config import NO_FILTERS, FilterConfig

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_BULLETS = ("•", "‣", "◦", "▪", "●", "*", "-")
_ELLIPSES = ("...", "…")
_TOP, _REPEATED = (2, 3, 4), (5, 6, 7, 8, 9, 10)
_PARAGRAPH_END = re.compile(r"\n\s*\n")


class Filters:
    """The filters of one configuration."""

    def __init__(self, config: FilterConfig) -> None:
        self._config = config
        self._active = config != NO_FILTERS

    def reason(self, text: str, num_bytes: int) -> str | None:
        """Return the key of the first filter that drops `text`, or None where it is kept.

        `text` must not be white space alone. Of `max_top_ngrams` and `max_repeated_ngrams` the key is
        followed by a slash and n.
        """
        return next(self._reasons(text, num_bytes), None) if self._active else None

    def _reasons(self, text: str, num_bytes: int) -> Iterator[str]:
        c = self._config
        yield from _outside("bytes", num_bytes, c.min_bytes, c.max_bytes)
        words = text.split()
        yield from self._by_words(text, words)
        yield from self._by_lines(text)
        yield from self._by_ngrams(words)

    def _by_words(self, text: str, words: list[str]) -> Iterator[str]:
        c = self._config
        count = len(words)
        yield from _outside("words", count, c.min_words, c.max_words)
        if c.min_mean_word_length is not None or c.max_mean_word_length is not None:
            mean = sum(map(len, words)) / count
            yield from _outside("mean_word_length", mean, c.min_mean_word_length, c.max_mean_word_length)
        if c.max_symbol_ratio is not None:
            ellipses = sum(text.count(mark) for mark in _ELLIPSES)
            if max(text.count("#"), ellipses) / count > c.max_symbol_ratio:
                yield "max_symbol_ratio"
        if c.min_alphabetic_words is None and c.min_stop_words is None:
            return
        different = Counter(words)  # a word is looked at once, however often it occurs
        if c.min_alphabetic_words is not None:
            alphabetic = sum(n for word, n in different.items() if _has_letter(word))
            yield from _outside("alphabetic_words", alphabetic / count, c.min_alphabetic_words, None)
        if c.min_stop_words is not None:
            found = len(STOP_WORDS.intersection(map(str.lower, different)))
            yield from _outside("stop_words", found, c.min_stop_words, None)

    def _by_lines(self, text: str) -> Iterator[str]:
        c = self._config
        by_line = (
            c.max_bullet_lines,
            c.max_ellipsis_lines,
            c.max_duplicate_lines,
            c.max_duplicate_line_characters,
        )
        if any(limit is not None for limit in by_line):
            lines = _parts(text.split("\n"))
            bullets = sum(line.startswith(_BULLETS) for line in lines) / len(lines)
            ellipses = sum(line.endswith(_ELLIPSES) for line in lines) / len(lines)
            for name, value in (("max_bullet_lines", bullets), ("max_ellipsis_lines", ellipses)):
                if (limit := getattr(c, name)) is not None and value > limit:
                    yield name
            yield from self._duplicates("line", lines)
        if c.max_duplicate_paragraphs is not None or c.max_duplicate_paragraph_characters is not None:
            yield from self._duplicates("paragraph", _parts(_PARAGRAPH_END.split(text)))

    def _duplicates(self, what: str, parts: list[str]) -> Iterator[str]:
        unique = set(parts)
        share = (len(parts) - len(unique)) / len(parts)
        total = sum(map(len, parts))
        characters = (total - sum(map(len, unique))) / total
        for name, value in (
            (f"max_duplicate_{what}s", share),
            (f"max_duplicate_{what}_characters", characters),
        ):
            if (limit := getattr(self._config, name)) is not None and value > limit:
                yield name

    def _by_ngrams(self, words: list[str]) -> Iterator[str]:
        c = self._config
        limits = dict(zip(_TOP, c.max_top_ngrams, strict=False))
        limits |= zip(_REPEATED, c.max_repeated_ngrams, strict=False)
        if not limits:
            return
        for n, top, repeated in ngram_shares(words, longest=max(limits)):
            if n in _TOP and n in limits and top > limits[n]:
                yield f"max_top_ngrams/{n}"
            if n in _REPEATED and n in limits and repeated > limits[n]:
                yield f"max_repeated_ngrams/{n}"


def ngram_shares(words: Sequence[str], longest: int) -> Iterator[tuple[int, float, float]]:
    """Yield (n, top, repeated) for n = 2, 3, ... `longest`, ending early where nothing repeats.

    `top` is the share of the words' characters that the most frequent n-gram covers, of equally
    frequent ones the one with the most characters; `repeated` the share that is inside n-grams
    which occurred earlier in `words`. Both are 0 for every n that is not yielded.
    """
    numbers: dict[str, int] = {}
    ids = np.fromiter((numbers.setdefault(w, len(numbers)) for w in words), np.int64, len(words))
    sizes = np.fromiter(map(len, words), np.int64, len(words))
    ends = np.concatenate(([0], np.cumsum(sizes)))
    starts, grams = np.arange(len(ids)), ids
    for n in range(2, longest + 1):
        inside = starts + n <= len(ids)
        starts, grams = starts[inside], grams[inside]
        if len(starts) < 2:
            return
        pairs = grams * len(numbers) + ids[starts + n - 1]
        _, first, grams, counts = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
        most = counts.max()
        if most == 1:
            return
        characters = ends[starts + n] - ends[starts]
        tied = np.flatnonzero(counts[grams] == most)
        top = grams[tied[characters[tied].argmax()]]
        yield (
            n,
            _covered(starts[grams == top], n, sizes),
            _covered(starts[first[grams] < np.arange(len(grams))], n, sizes),
        )
        often = counts[grams] > 1  # what occurs once is the beginning of nothing that occurs twice
        starts, grams = starts[often], grams[often]


def _covered(starts: NDArray[np.int64], n: int, sizes: NDArray[np.int64]) -> float:
    """Return the share of the words' characters that n-grams beginning at `starts` cover."""
    steps = np.zeros(len(sizes) + 1, dtype=np.int64)
    steps[starts] += 1
    steps[starts + n] -= 1
    return float(sizes[np.cumsum(steps[:-1]) > 0].sum() / sizes.sum())


def _has_letter(word: str) -> bool:
    return word.isalpha() or any(map(str.isalpha, word))


def _outside(what: str, value: float, low: float | None, high: float | None) -> Iterator[str]:
    if low is not None and value < low:
        yield f"min_{what}"
    if high is not None and value > high:
        yield f"max_{what}"


def _parts(texts: Sequence[str]) -> list[str]:
    return [part for part in map(str.strip, texts) if part]
