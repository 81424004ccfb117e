"""Where words end, for tokenizers of pieces: no token crosses from one word into the next.

A text is split by GPT-2's pattern, where a word carries the space before it and nothing is removed. `digits`
says what becomes of a number: `keep` leaves its digits together, `split` makes each a word of its own, so
that a number is written digit by digit.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Regex, pre_tokenizers

from lmexp.tokenizer.structure.pieces import WORDS


def splitter(digits: str) -> pre_tokenizers.PreTokenizer:
    """Return what splits a text into its words."""
    words = pre_tokenizers.Split(Regex(WORDS), "isolated")
    if digits == "keep":
        return words
    return pre_tokenizers.Sequence([words, pre_tokenizers.Digits(individual_digits=True)])


def count_words(texts: Iterable[str], digits: str) -> Counter[str]:
    """Return how often each word occurs, in the order in which they first do."""
    split = splitter(digits)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in split.pre_tokenize_str(text))
    return counts


def noted_characters(texts: Iterable[str], found: set[str]) -> Iterator[str]:
    """Yield `texts`, and add their characters to `found`."""
    for text in texts:
        found.update(text)
        yield text
