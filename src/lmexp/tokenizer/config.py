"""How a tokenizer is trained, and by what it can encode."""

from lmexp.core.values.config import Config, option

ENCODERS = ("gigatoken", "tiktoken", "tokenizers")
"""What can encode, the fastest first; `lmexp.tokenizer.encoders` says how."""


class TokenizerConfig(Config):
    """Byte-level BPE."""

    vocab_size: int = option(default=4096, ge=257, le=1_000_000)
    """Number of tokens, the 256 bytes and the end-of-text token included. A small corpus may
    yield fewer; the artifact says how many."""

    path: str | None = option(default=None, by_content=True)
    """A directory with a `tokenizer.json` to take instead of training one; null trains."""

    train_bytes: int | None = option(default=None, ge=1, absent_means=None)
    """Most UTF-8 bytes of the train split that are read, in documents spread evenly over it; null
    reads all of it."""
