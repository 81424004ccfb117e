"""Byte-pair encoding, merge by merge (Sennrich et al., arXiv 1508.07909), as an obvious loop.

Each word is a sequence of tokens, at first its bytes. The pair of neighbours that is most frequent in all
words becomes one token wherever it stands, from left to right, and so on until no pair is left. A word is
where no merge crosses:

    gpt2    the reference's: GPT-2's pattern, each word with the space before it
    space   a textbook's: what stands between white space, without it

Of pairs that are equally frequent the one is merged

    reference   whose first token has the lowest id, then whose second one has (Hugging Face's trainer): the
                end of a text, then the bytes by the character that byte-level BPE writes them as, then merges
    first       that occurs first in the words, in the order of the text (what one does by hand)

With gpt2 and reference these are the merges of `lmexp.tokenizer.train`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tokenizers import pre_tokenizers

from lmexp.tokenizer.structure import byte_characters

Pair = tuple[bytes, bytes]
Ties = Literal["reference", "first"]
Words = Literal["gpt2", "space"]
TIES: tuple[Ties, ...] = ("reference", "first")
WORDS: tuple[Words, ...] = ("gpt2", "space")


@dataclass(frozen=True)
class Merge:
    """One step: a pair becomes a token."""

    pair: Pair
    count: int
    """How often the pair stands in all words."""
    tied: tuple[Pair, ...]
    """Other pairs that stand there as often, in the order in which they would be chosen."""
    words: tuple[tuple[bytes, ...], ...]
    """The different words after the merge, in the order of the text."""

    @property
    def token(self) -> bytes:
        """What the pair becomes."""
        return self.pair[0] + self.pair[1]


def trace_bpe(texts: Sequence[str], *, ties: Ties = "reference", words: Words = "gpt2") -> Iterator[Merge]:
    """Yield the merges of `texts`, each with what it makes of the words, until no pair is left."""
    counts = Counter(word for text in texts for word in words_of(text, words))
    split = {word: tuple(bytes([byte]) for byte in word) for word in counts}  # in the order of the text
    ids = {bytes([byte]): i for i, byte in enumerate(_alphabet())}
    while True:
        pairs: Counter[Pair] = Counter()
        for word, tokens in split.items():
            for pair in pairwise(tokens):
                pairs[pair] += counts[word]
        if not pairs:
            return
        most = max(pairs.values())
        best = [pair for pair, count in pairs.items() if count == most]  # in the order of the text
        if ties == "reference":
            best.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        chosen, *others = best
        ids.setdefault(chosen[0] + chosen[1], len(ids))
        split = {word: merged(tokens, chosen) for word, tokens in split.items()}
        yield Merge(chosen, most, tuple(others), tuple(split.values()))


def words_of(text: str, words: Words) -> list[bytes]:
    """Return the words of a text, in order, as bytes."""
    if words == "space":
        return [word.encode() for word in text.split()]
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    written = {character: byte for byte, character in enumerate(byte_characters())}
    return [bytes(written[c] for c in word) for word, _ in splitter.pre_tokenize_str(text)]


def merged(tokens: Sequence[bytes], pair: Pair) -> tuple[bytes, ...]:
    """Return `tokens` with the pair made one wherever it stands, from left to right."""
    result: list[bytes] = []
    i = 0
    while i < len(tokens):
        if tuple(tokens[i : i + 2]) == pair:
            result.append(pair[0] + pair[1])
            i += 2
        else:
            result.append(tokens[i])
            i += 1
    return tuple(result)


def _alphabet() -> list[int]:
    """Return the bytes in the order of their ids."""
    characters = byte_characters()
    return sorted(range(256), key=lambda byte: characters[byte])
