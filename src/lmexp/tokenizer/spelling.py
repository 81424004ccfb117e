r"""How one token is shown to a reader: its text between quotes, and what is no text of its own byte by byte.

A token of a byte-level vocabulary may hold a part of a character. Its bytes that are no UTF-8 are written
``\xe4``; a line end, a tab and a backslash as Python writes them; whatever else could steer a terminal as
``\u001b``. A special token stands for no text: it is written by its name, without quotes. So each spelling
stands for one token's bytes alone.
"""

from dataclasses import dataclass

from lmexp.core.values.terminal import printable
from lmexp.errors import DataError
from lmexp.tokenizer.tokenizer import Tokenizer

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "'": "\\'"}


@dataclass(frozen=True)
class Token:
    """A token of a text."""

    id: int
    text: str
    """How it is shown."""
    content: bytes
    """The bytes that it stands for."""


def tokens_of(tokenizer: Tokenizer, text: str) -> list[Token]:
    """Return the tokens of a text. Errors: `DataError` for one that is no Unicode."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"the text is not valid UTF-8 at character {error.start}.") from None
    contents = tokenizer.token_contents
    return [Token(i, spelled_token(tokenizer, i), contents[i]) for i in tokenizer.encode(text)]


def spelled(content: bytes) -> str:
    """Return bytes as text in quotes; those that are no UTF-8 as ``\\xe4``."""
    text = content.decode("utf-8", "surrogateescape")
    return f"'{''.join(map(_character, text))}'"


def spelled_token(tokenizer: Tokenizer, token: int) -> str:
    """Return what a reader is shown of a token; ``[id]`` of an id past the tokenizer's."""
    if not 0 <= token < tokenizer.vocab_size:
        return f"[{token}]"
    content = tokenizer.token_contents[token]
    return spelled(content) if content else tokenizer.decode([token]) or f"[{token}]"


def _character(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte, as surrogateescape hides it
        return f"\\x{ord(character) - 0xDC00:02x}"
    return _ESCAPES.get(character) or printable(character)
