"""Byte-pair encoding over Unicode characters (Sennrich et al., arXiv 1508.07909).

The most frequent pair of neighbours within words becomes a token until the vocabulary is full, of equally
frequent ones the pair whose tokens have the lowest ids: characters in the order of their code points, then
merges. A character that the train split does not have is unknown, or is written byte by byte.

Ids: the unknown token, with `byte_fallback` the 256 bytes, the characters, the merges, the end of a text.
"""

import json
from collections.abc import Iterator

from tokenizers import Tokenizer as Backend
from tokenizers import models, trainers

from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.pieces.finish import finished, reserved, room_for
from lmexp.tokenizer.pieces.split import noted_characters, splitter
from lmexp.tokenizer.roles import UNKNOWN


def train_bpe(texts: Iterator[str], *, vocab_size: int, byte_fallback: bool, digits: str) -> LibraryTokenizer:
    """Train on `texts`, read once. A small corpus may run out of pairs before `vocab_size`.

    Errors: `DataError` where the characters of the texts alone are too many.
    """
    backend = Backend(models.BPE())
    backend.pre_tokenizer = splitter(digits)
    first = reserved(byte_fallback)
    characters: set[str] = set()
    trainer = trainers.BpeTrainer(vocab_size=max(0, vocab_size - len(first) - 1), show_progress=False)
    backend.train_from_iterator(noted_characters(texts, characters), trainer=trainer)
    room_for(characters, vocab_size, first)
    found = json.loads(backend.to_str())["model"]
    learnt = sorted(found["vocab"], key=found["vocab"].__getitem__)
    vocab = {token: i for i, token in enumerate([*first, *learnt])}
    merges = [tuple(pair) for pair in found["merges"]]
    model = models.BPE(vocab, merges, byte_fallback=byte_fallback, unk_token=UNKNOWN)
    return finished(model, byte_fallback=byte_fallback, digits=digits)
