"""What a tokenizer is to packing, scoring, generation and evaluation.

Three rules hold of every kind:

- text is data: a text that contains the literal ``<|endoftext|>`` is encoded as any other, so that no
  document can end another one; a special token that is no text enters by its id alone;
- a text is what its tokens stand for, `joiner` between them, special tokens standing for nothing: always
  where `is_lossless`, and elsewhere but for the pieces that `lost` names;
- a model reads a text as `begun` gives it: behind a start token where the tokenizer puts one, as it is
  otherwise.

`lmexp.tokenizer.library` has those that the library `tokenizers` runs, which all shipped kinds are;
`lmexp.tokenizer.folder` reads them, and those of a user's own file.
"""

import abc
import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmexp.tokenizer.roles import Roles


class Tokenizer(abc.ABC):
    """Text to token ids and back."""

    vocab_size: int
    """Number of ids, special tokens included."""

    roles: Roles
    """Ids of the special tokens by what they are for."""

    is_lossless: bool
    """Whether every text comes back from its tokens, by the structure of the tokenizer."""

    joiner: bytes = b""
    """What stands between the texts of two tokens: nothing, or a space between words."""

    glued: frozenset[int] = frozenset()
    """Ids before which no joiner stands: pieces that go on with a word."""

    @abc.abstractmethod
    def save(self, path: Path) -> None:
        """Write what `lmexp.tokenizer.folder` reads into directory `path`."""

    @abc.abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text."""

    @property
    @abc.abstractmethod
    def token_contents(self) -> list[bytes]:
        """The bytes that each id stands for, vocab_size of them; none for a special token."""

    @property
    @abc.abstractmethod
    def token_names(self) -> list[bytes]:
        """What is written for each id, vocab_size of them: its content, or the name of a special token."""

    @functools.cached_property
    def token_strings(self) -> list[str]:
        """What the vocabulary calls each id, vocab_size of them; bytes and spaces may be letters there."""
        return [name.decode("utf-8", "backslashreplace") for name in self.token_names]

    @property
    def eos_token_id(self) -> int:
        """Id of the token that ends a text."""
        return self.roles.eos_token_id

    @property
    def bos_token_id(self) -> int:
        """Id of the token that stands between documents, and before the first token of each."""
        return self.roles.bos_token_id

    @property
    def start_ids(self) -> tuple[int, ...]:
        """What a model reads before every text, a prompt too: `bos_token_id`, or nothing."""
        return (self.roles.bos_token_id,) if self.roles.starts_every_text else ()

    @functools.cached_property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes that each id adds to a text, [vocab_size]: its own and the joiner's; a special token adds 0.

        The first token of a text has no joiner before it.
        """
        return np.array(
            [
                len(content) + (0 if i in self.glued else len(self.joiner)) if content else 0
                for i, content in enumerate(self.token_contents)
            ],
            dtype=np.int64,
        )

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`."""
        return self.encode_batch([text])[0]

    def begun(self, ids: Sequence[int]) -> list[int]:
        """Return the `ids` of a text as a model reads them: behind the start token, if there is one.

        Of no ids it is the token that begins a document, since a model reads at least one.
        """
        return [*self.start_ids, *ids] or [self.bos_token_id]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; bytes that are not UTF-8 become U+FFFD.

        A special token is written out as its name, and an id past the vocabulary, which the padded
        embedding of a model may have, as nothing.
        """
        written = [i for i in map(int, ids) if 0 <= i < self.vocab_size]
        return self._joined(self.token_names, written).decode("utf-8", "replace")

    def spelled(self, ids: Sequence[int]) -> bytes:
        """Return the bytes of the text that `ids` stand for, special tokens standing for nothing."""
        return self._joined(self.token_contents, [i for i in ids if self.token_contents[i]])

    def continuation(self, text: str, ids: Sequence[int]) -> str:
        """Return what `ids` add to `text`: their own text, behind the joiner where one belongs there."""
        is_joined = bool(text) and not text[-1].isspace() and len(ids) > 0 and ids[0] not in self.glued
        return (self.joiner.decode() if is_joined else "") + self.decode(ids)

    def lost(self, text: str) -> list[tuple[str, str]]:
        """Return the pieces of `text` that do not come back, each with what stands in its place.

        Here it is one piece, between what text and tokens agree on at both ends.
        """
        found = self.decode(self.encode(text))
        if found == text:
            return []
        begin = _num_equal(text, found)
        end = _num_equal(text[begin:][::-1], found[begin:][::-1])
        return [(text[begin : len(text) - end], found[begin : len(found) - end])]

    def _joined(self, texts: Sequence[bytes], ids: Sequence[int]) -> bytes:
        if not self.glued:
            return self.joiner.join(texts[i] for i in ids)
        later = (texts[i] if i in self.glued else self.joiner + texts[i] for i in ids[1:])
        return b"".join([*(texts[i] for i in ids[:1]), *later])


def _num_equal(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
