"""The kinds of tokenizers: how each is made, and by what it can encode.

All are byte-level: every text comes back from its tokens, and the bytes of these add up to its own. A kind of
a user's own says by `make` how its vocabulary comes about; what it makes is a `tokenizer.json` as any other.
"""

import abc
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lmexp.core.values.config import Config, option
from lmexp.core.values.one_of import OneOf

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

    @property
    def label(self) -> str:
        return f"bpe-{self.vocab_size}"

    @property
    def adopted(self) -> str | None:
        return self.path

    def make(self, texts: Iterator[str]) -> "Tokenizer":
        from lmexp.tokenizer.train import train_tokenizer

        return train_tokenizer(self, texts)


class ByteConfig(TokenizerConfig):
    """The 256 bytes and the end of a text, nothing learnt."""

    @property
    def label(self) -> str:
        return "bytes"

    def make(self, texts: Iterator[str]) -> "Tokenizer":  # noqa: ARG002 - nothing is learnt
        from lmexp.tokenizer.train import tokenizer_of_merges

        return tokenizer_of_merges([])


TOKENIZERS = OneOf(key="kind", kinds={"byte_bpe": ByteBPEConfig, "byte": ByteConfig}, unnamed="byte_bpe")
"""The configurations of tokenizers."""


def register_tokenizer(name: str, cls: type[TokenizerConfig]) -> None:
    """Add a kind of one's own, `tokenizer.kind=<name>`; see docs/add-a-tokenizer.md.

    Errors: those of `OneOf.register`.
    """
    TOKENIZERS.register(name, cls, base=TokenizerConfig)
