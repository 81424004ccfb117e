"""Which documents of a corpus the filters drop: their limits, without what measures them."""

from lmexp.core.values.config import Config, build, option
from lmexp.errors import ConfigError


class FilterConfig(Config):
    """Which documents are dropped, each counted under the key that dropped it; null and [] are off.

    Words are what white space separates, lines and paragraphs those with anything but white space in
    them. `+corpus/filters=gopher` sets the values of Gopher (Rae et al., arXiv 2112.11446, table A1).
    """

    min_bytes: int | None = option(default=None, ge=1)
    """Fewest bytes of UTF-8."""

    max_bytes: int | None = option(default=None, ge=1)
    """Most bytes of UTF-8."""

    min_words: int | None = option(default=None, ge=1)
    """Fewest words."""

    max_words: int | None = option(default=None, ge=1)
    """Most words."""

    min_mean_word_length: float | None = option(default=None, ge=0)
    """Lowest mean number of characters a word."""

    max_mean_word_length: float | None = option(default=None, ge=0)
    """Highest mean number of characters a word."""

    max_symbol_ratio: float | None = option(default=None, ge=0)
    """Most hash signs a word, and most ellipses a word."""

    max_bullet_lines: float | None = option(default=None, ge=0, le=1)
    """Largest share of lines that begin with a bullet."""

    max_ellipsis_lines: float | None = option(default=None, ge=0, le=1)
    """Largest share of lines that end with an ellipsis."""

    min_alphabetic_words: float | None = option(default=None, ge=0, le=1)
    """Smallest share of words that have a letter."""

    min_stop_words: int | None = option(default=None, ge=1, le=8)
    """Fewest different words of: the, be, to, of, and, that, have, with."""

    max_duplicate_lines: float | None = option(default=None, ge=0, le=1)
    """Largest share of lines that repeat an earlier one."""

    max_duplicate_line_characters: float | None = option(default=None, ge=0, le=1)
    """Largest share of the lines' characters that is in such lines."""

    max_duplicate_paragraphs: float | None = option(default=None, ge=0, le=1)
    """Largest share of paragraphs, which blank lines separate, that repeat an earlier one."""

    max_duplicate_paragraph_characters: float | None = option(default=None, ge=0, le=1)
    """Largest share of the paragraphs' characters that is in such paragraphs."""

    max_top_ngrams: tuple[float, ...] = option(default=(), ge=0, le=1)
    """Three numbers: the largest share of the words' characters that the most frequent 2-gram, 3-gram
    and 4-gram of words cover; one that occurs once covers nothing."""

    max_repeated_ngrams: tuple[float, ...] = option(default=(), ge=0, le=1)
    """Six numbers: the largest share of the words' characters that is in 5-grams, ... 10-grams of words
    that stood in the document before."""

    def check(self) -> None:
        for name, count in (("max_top_ngrams", 3), ("max_repeated_ngrams", 6)):
            given = len(getattr(self, name))
            if given not in (0, count):
                raise ConfigError(f"{name} must have {count} numbers or none, has {given}.")
        for what in ("bytes", "words", "mean_word_length"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                raise ConfigError(f"min_{what} ({low}) must be at most max_{what} ({high}).")


NO_FILTERS = build(FilterConfig, {})
"""Drops nothing."""
