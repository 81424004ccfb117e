r"""How one token is shown to a reader: its text between quotes, and what is no text of its own byte by byte.

A token of a byte-level vocabulary may hold a part of a character. Its bytes that are no UTF-8 are written
``\xe4``; a line end, a tab and a backslash as Python writes them; whatever else could steer a terminal as
``\u001b``. A special token stands for no text: it is written by its name, without quotes. So each spelling
stands for one token's bytes alone.
"""

from lmexp.core.values.terminal import printable
from lmexp.tokenizer.tokenizer import Tokenizer

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "'": "\\'"}


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
