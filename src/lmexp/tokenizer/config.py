"""The kinds of tokenizers: how each is made, and by what it can encode.

Of the byte-level ones every text comes back from its tokens, and the bytes of these add up to its own. Words
and characters have a closed vocabulary, and what they lose is counted. A kind of a user's own says by `make`
how its vocabulary comes about.
"""

import abc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lmexp.core.values.config import Config, option
from lmexp.core.values.one_of import OneOf
from lmexp.errors import DataError

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer

ENCODERS = ("gigatoken", "tiktoken", "tokenizers")
"""What can encode, the fastest first; `lmexp.tokenizer.encoders` says how."""


class TokenizerConfig(Config, abc.ABC):
    """What all kinds have in common."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """The kind and its size in a word, for an artifact's name: `bpe-4096`."""

    @property
    def adopted(self) -> str | None:
        """The directory of a tokenizer that is taken as it is; None where one is made."""
        return None

    @abc.abstractmethod
    def make(self, texts: Iterator[str]) -> "Tokenizer":
        """Return the tokenizer. `texts`, those of the train split, are read at most once."""

    @classmethod
    def read(cls, path: Path) -> "Tokenizer":
        """Return what a tokenizer of this kind has saved in directory `path`.

        Only a kind whose tokenizer the library does not run defines it.
        """
        raise DataError(f"{path} holds a tokenizer of {cls.__name__}, which defines no 'read' to read it by.")


class ByteBPEConfig(TokenizerConfig):
    """Byte-level BPE."""

    vocab_size: int = option(default=4096, ge=257, le=1_000_000)
    """Number of tokens, the 256 bytes and the end-of-text token included. A small corpus may
    yield fewer; the artifact says how many."""

    path: str | None = option(default=None, by_content=True)
    """A directory with a `tokenizer.json` to take instead of training one; null trains."""

    train_bytes: int | None = option(default=None, ge=1, absent_means=None)
    """Most UTF-8 bytes of the train split that are read, in documents spread evenly over it; null
    reads all of it."""

    digits: str = option(default="keep", choices=("keep", "split"), absent_means="keep")
    """Whether the digits of a number may share a token (`keep`), or each is a token of its own (`split`)."""

    @property
    def label(self) -> str:
        return f"bpe-{self.vocab_size}"

    @property
    def adopted(self) -> str | None:
        return self.path

    def make(self, texts: Iterator[str]) -> "Tokenizer":
        from lmexp.tokenizer.train import train_byte_bpe

        return train_byte_bpe(texts, vocab_size=self.vocab_size, digits=self.digits)


class ByteConfig(TokenizerConfig):
    """The 256 bytes and the end of a text, nothing learnt."""

    @property
    def label(self) -> str:
        return "bytes"

    def make(self, texts: Iterator[str]) -> "Tokenizer":  # noqa: ARG002 - nothing is learnt
        from lmexp.tokenizer.train import tokenizer_of_merges

        return tokenizer_of_merges([])


class WordConfig(TokenizerConfig):
    """The words between white space, and ``<unk>`` for every other one.

    A text with ``<unk>`` as a word, as those in the form of the Penn Treebank, has a closed vocabulary.
    """

    vocab_size: int | None = option(default=None, ge=3, le=10_000_000)
    """Most ids: ``<unk>``, the most frequent words, of equal ones those that occur first, and the end of a
    text; null takes all words that `min_count` allows."""

    min_count: int | None = option(default=None, ge=1)
    """How often a word must occur in the train split; null is once where ``<unk>`` is a word of it, and twice
    elsewhere, so that ``<unk>`` is learnt from the words that occur once."""

    @property
    def label(self) -> str:
        return "words" if self.vocab_size is None else f"words-{self.vocab_size}"

    def make(self, texts: Iterator[str]) -> "Tokenizer":
        from lmexp.tokenizer.vocabulary import word_tokenizer

        return word_tokenizer(texts, vocab_size=self.vocab_size, min_count=self.min_count)


class CharacterConfig(TokenizerConfig):
    """The characters (Unicode code points) of the train split, and ``<unk>`` for every other one."""

    vocab_size: int | None = option(default=None, ge=3, le=1_114_114)
    """Most ids, as of words; null takes all characters that `min_count` allows."""

    min_count: int = option(default=1, ge=1)
    """How often a character must occur in the train split. With 1 ``<unk>`` is not seen in training."""

    @property
    def label(self) -> str:
        return "characters" if self.vocab_size is None else f"characters-{self.vocab_size}"

    def make(self, texts: Iterator[str]) -> "Tokenizer":
        from lmexp.tokenizer.vocabulary import character_tokenizer

        return character_tokenizer(texts, vocab_size=self.vocab_size, min_count=self.min_count)


class PiecesConfig(TokenizerConfig, abc.ABC):
    """Pieces of words in Unicode characters; no piece crosses from one word into the next."""

    vocab_size: int = option(default=4096, ge=3, le=1_000_000)
    """Most ids: the pieces, ``<unk>``, the end of a text and, to fall back on, the 256 bytes. A small corpus
    may yield fewer."""

    byte_fallback: bool = option(default=True)
    """Whether a character that the train split lacks is written by the tokens of its bytes, so that no text
    is lost; otherwise it becomes ``<unk>``."""

    digits: str = option(default="keep", choices=("keep", "split"))
    """Whether the digits of a number may share a token (`keep`), or each is a token of its own (`split`)."""


class BPEConfig(PiecesConfig):
    """Byte-pair encoding over Unicode characters."""

    @property
    def label(self) -> str:
        return f"bpe-{self.vocab_size}"

    def make(self, texts: Iterator[str]) -> "Tokenizer":
        from lmexp.tokenizer.pieces.bpe import train_bpe

        return train_bpe(
            texts, vocab_size=self.vocab_size, byte_fallback=self.byte_fallback, digits=self.digits
        )


class UnigramConfig(PiecesConfig):
    """The Unigram model: pieces with probabilities, and the likeliest segmentation of a text."""

    @property
    def label(self) -> str:
        return f"unigram-{self.vocab_size}"

    def make(self, texts: Iterator[str]) -> "Tokenizer":
        from lmexp.tokenizer.pieces.unigram import train_unigram

        return train_unigram(
            texts, vocab_size=self.vocab_size, byte_fallback=self.byte_fallback, digits=self.digits
        )


class WordPieceConfig(TokenizerConfig):
    """WordPiece, as in BERT: words and punctuation apart, and a word in pieces that are known."""

    vocab_size: int = option(default=4096, ge=3, le=1_000_000)
    """Most ids: ``<unk>``, the pieces and the end of a text. A small corpus may yield fewer."""

    @property
    def label(self) -> str:
        return f"wordpiece-{self.vocab_size}"

    def make(self, texts: Iterator[str]) -> "Tokenizer":
        from lmexp.tokenizer.pieces.wordpiece import train_wordpiece

        return train_wordpiece(texts, vocab_size=self.vocab_size)


TOKENIZERS = OneOf(
    key="kind",
    kinds={
        "byte_bpe": ByteBPEConfig,
        "byte": ByteConfig,
        "bpe": BPEConfig,
        "unigram": UnigramConfig,
        "wordpiece": WordPieceConfig,
        "word": WordConfig,
        "character": CharacterConfig,
    },
    unnamed="byte_bpe",
)
"""The configurations of tokenizers."""


def register_tokenizer(name: str, cls: type[TokenizerConfig]) -> None:
    """Add a kind of one's own, `tokenizer.kind=<name>`; see docs/add-a-tokenizer.md.

    Errors: those of `OneOf.register`.
    """
    TOKENIZERS.register(name, cls, base=TokenizerConfig)
