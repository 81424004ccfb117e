"""What tokenizers of pieces have in common: tokens that are no pieces, and what reads and writes a text."""

from collections.abc import Collection, Sequence

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from lmexp.errors import DataError
from lmexp.tokenizer.library import LibraryTokenizer
from lmexp.tokenizer.pieces.split import splitter
from lmexp.tokenizer.roles import END_OF_TEXT, UNKNOWN
from lmexp.tokenizer.structure.pieces import BYTES


def reserved(byte_fallback: bool) -> list[str]:
    """Return the tokens before the pieces: the unknown one, and those of all bytes, which keep it unused."""
    return [UNKNOWN, *BYTES] if byte_fallback else [UNKNOWN]


def room_for(characters: Collection[str], vocab_size: int, first: Sequence[str]) -> int:
    """Return how many pieces `vocab_size` leaves beside `first` and the end of a text.

    Errors: `DataError` where there are no characters, or more than that.
    """
    room = vocab_size - len(first) - 1
    if not characters:
        raise DataError("the train split holds no text to learn pieces from; give more text.")
    if len(characters) > room:
        least = len(characters) + len(first) + 1
        raise DataError(
            f"tokenizer.vocab_size {vocab_size} leaves room for {max(room, 0)} pieces, and single characters "
            f"of the train split take {len(characters)}; raise it to at least {least}, or take "
            f"tokenizer=byte_bpe."
        )
    return room


def finished(model: models.Model, *, byte_fallback: bool, digits: str) -> LibraryTokenizer:
    """Return the tokenizer of a trained model."""
    backend = Backend(model)
    backend.pre_tokenizer = splitter(digits)
    fuse = decoders.Fuse()
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), fuse]) if byte_fallback else fuse
    backend.add_special_tokens([UNKNOWN, END_OF_TEXT])
    return LibraryTokenizer(backend, {"unk_token": UNKNOWN})
