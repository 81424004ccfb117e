"""Trains WordPiece as the library does: by byte-pair encoding that keeps a word's first character apart.

A word is its first character and the others with ``##`` before each; the most frequent pair becomes a piece,
of equally frequent ones that of the lowest ids. (What BERT's vocabulary was trained by is not published;
Schuster and Nakajima 2012 choose the pair that makes the text likeliest.) A word is then written from left to
right, by the longest piece that fits each time.

The library numbers characters in the order in which a hash table yields them, so that its results differ from
one process to the next. Here they have their numbers before it begins.
"""

import json
from collections import Counter
from collections.abc import Iterator

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.pieces.finish import room_for
from lmexp.tokenizer.roles import END_OF_TEXT, UNKNOWN
from lmexp.tokenizer.structure.wordpiece import PREFIX

_WORDS_AT_ONCE = 10_000


def train_wordpiece(texts: Iterator[str], *, vocab_size: int) -> LibraryTokenizer:
    """Train on `texts`, read once.

    Ids: the unknown token, all characters as the first of a word, those within words, the merged pieces in
    their order, the end of a text.
    Errors: `DataError` where the characters of the texts alone are too many.
    """
    split = pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in split.pre_tokenize_str(text))
    letters = [*sorted(set().union(*counts)), *_within(counts)]
    room = room_for(letters, vocab_size, [UNKNOWN])
    backend = Backend(models.BPE(continuing_subword_prefix=PREFIX))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(
        vocab_size=room,
        special_tokens=letters,
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    backend.train_from_iterator(_lines(counts), trainer=trainer)
    found = json.loads(backend.to_str())["model"]["vocab"]
    vocab = {token: i for i, token in enumerate([UNKNOWN, *sorted(found, key=found.__getitem__)])}
    made = Backend(models.WordPiece(vocab, unk_token=UNKNOWN, continuing_subword_prefix=PREFIX))
    made.pre_tokenizer = split
    made.decoder = decoders.WordPiece(prefix=PREFIX, cleanup=False)
    made.add_special_tokens([UNKNOWN, END_OF_TEXT])
    return LibraryTokenizer(made, {"unk_token": UNKNOWN})


def _within(counts: Counter[str]) -> list[str]:
    """Return the characters within words, as pieces."""
    return sorted({PREFIX + character for word in counts for character in word[1:]})


def _lines(counts: Counter[str]) -> Iterator[list[str]]:
    """Yield each word as often as it was counted."""
    for word, count in counts.items():
        whole, rest = divmod(count, _WORDS_AT_ONCE)
        for number in (*[_WORDS_AT_ONCE] * whole, rest):
            yield [" ".join([word] * number)]
