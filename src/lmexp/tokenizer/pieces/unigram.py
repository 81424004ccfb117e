"""The Unigram model (Kudo, arXiv 1804.10959), trained by expectation maximisation as it is taught.

A word is a sequence of pieces drawn independently, and its probability the sum over all ways to split it. One
starts from many pieces: every character, and of all substrings of words that occur twice those with the
most characters in all, ten for each that is wanted. Then, in turn,

1. two steps of expectation maximisation, p(x) = expected count of x / sum of all expected counts;
2. a quarter of the pieces go (never a character), those without which the text would lose the least: x costs
   c(x) (ln p(x) - ln p(the likeliest way to write x by others)), of equal ones those that come last;

until the wanted number is left, and two more steps end it. A text is encoded by its likeliest segmentation
(Viterbi), which the library finds.

`sentencepiece` and `tokenizers` replace p by exp(digamma) in step 1, which favours few pieces, and start from
another estimate; results are alike, not equal. Here everything follows from the words and their counts alone.
Words longer than 32 characters are cut for the training. All substrings of the different words are held in
memory.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np
from tokenizers import models

from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.pieces.finish import finished, reserved, room_for
from lmexp.tokenizer.pieces.lattice import Floats, Lattice
from lmexp.tokenizer.pieces.split import count_words

_LONGEST_WORD = 32
_LONGEST_PIECE = 16
_SEEDS = 10
_LEFT = 0.75
_STEPS = 2
_LEAST = 1e-6
"""Expected count of a character that no likely way needs: a fraction of one, so that it stays possible."""


def train_unigram(
    texts: Iterator[str], *, vocab_size: int, byte_fallback: bool, digits: str
) -> LibraryTokenizer:
    """Train on `texts`, read once.

    Ids: the unknown token, with `byte_fallback` the 256 bytes, the pieces from the likeliest on, the end of
    a text.
    Errors: `DataError` where the characters of the texts alone are too many.
    """
    words = cut_words(count_words(texts, digits))
    first = reserved(byte_fallback)
    room = room_for({character for word in words for character in word}, vocab_size, first)
    pieces = learn_pieces(words, room)
    ranked = sorted(pieces, key=lambda piece: -pieces[piece])
    least = min(pieces.values())
    vocab = [*((name, least) for name in first), *((piece, pieces[piece]) for piece in ranked)]
    model = models.Unigram(vocab, unk_id=0, byte_fallback=byte_fallback)
    return finished(model, byte_fallback=byte_fallback, digits=digits)


def cut_words(counts: Mapping[str, int]) -> Counter[str]:
    """Return the counts of words, long ones in parts."""
    found: Counter[str] = Counter()
    for word, count in counts.items():
        for begin in range(0, len(word), _LONGEST_WORD):
            found[word[begin : begin + _LONGEST_WORD]] += count
    return found


def learn_pieces(words: Mapping[str, int], room: int) -> dict[str, float]:
    """Return at most `room` pieces with ln of their probability, of words by their counts."""
    pieces, scores = _seeds(words, room)
    counts = np.array(list(words.values()), dtype=np.float64)
    ids = {piece: i for i, piece in enumerate(pieces)}
    text = Lattice(list(words), ids, _LONGEST_PIECE)
    others = Lattice(pieces, ids, _LONGEST_PIECE, without_whole=True)
    probs = scores / scores.sum()
    alive = np.arange(len(pieces))
    is_character = np.array([len(piece) == 1 for piece in pieces])
    while True:
        for _ in range(_STEPS):
            expected, _ = text.expected(probs, counts)
            probs = _maximised(expected, is_character[alive])
        if len(alive) <= room:
            break
        cost = _cost(expected, probs, others.best(np.log(np.maximum(probs, 1e-300)))[alive])
        cost[is_character[alive]] = np.inf
        number = max(room, int(len(alive) * _LEFT), int(is_character.sum()))
        kept = np.sort(np.argsort(-cost, kind="stable")[:number])
        numbers = np.full(len(alive), -1)
        numbers[kept] = np.arange(len(kept))
        text.keep(numbers)
        others.keep(numbers)
        alive, probs = alive[kept], probs[kept] / probs[kept].sum()
    used = probs > 0
    return {pieces[i]: float(np.log(p)) for i, p in zip(alive[used], probs[used], strict=True)}


def _maximised(expected: Floats, is_character: np.ndarray) -> Floats:
    """Return the probabilities that make the words likeliest, given how often each piece is expected."""
    kept = np.where(is_character, np.maximum(expected, _LEAST), expected)
    return np.asarray(kept / kept.sum())


def _cost(expected: Floats, probs: Floats, others: Floats) -> Floats:
    """Return how many nats the text loses without each piece."""
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = expected * (np.log(probs) - others)
    return np.where(expected > 0, cost, -np.inf)


def _seeds(words: Mapping[str, int], room: int) -> tuple[list[str], Floats]:
    """Return the pieces to start from, and how many characters of the words each covers."""
    found: Counter[str] = Counter()
    for word, count in words.items():
        for begin in range(len(word)):
            for end in range(begin + 1, min(len(word), begin + _LONGEST_PIECE) + 1):
                found[word[begin:end]] += count
    characters = [piece for piece in found if len(piece) == 1]
    longer = [piece for piece, count in found.items() if len(piece) > 1 and count > 1]
    longer.sort(key=lambda piece: (-found[piece] * len(piece), piece))
    pieces = [*characters, *longer[: max(0, _SEEDS * room - len(characters))]]
    return pieces, np.array([found[piece] * len(piece) for piece in pieces], dtype=np.float64)
