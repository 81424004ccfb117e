"""A byte-level tokenizer that round-trips every text and knows the bytes of each token.

It wraps a Hugging Face `tokenizers` model. Two rules hold:

- text is data: a text that contains the literal ``<|endoftext|>`` is encoded as ordinary bytes, so
  that no document can end another one; the special token enters by its id alone;
- the bytes of a text's tokens add up to the bytes of the text, special tokens counting zero. This
  makes bits per byte comparable across tokenizers.

No token is added at the beginning or the end.
"""

import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from lmexp.errors import DataError

END_OF_TEXT = "<|endoftext|>"
"""The one special token: it ends documents, and stands before the first token of each."""


class Tokenizer:
    """Text to token ids and back."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        eos_token_id = backend.token_to_id(END_OF_TEXT)
        if eos_token_id is None:
            raise DataError(f"The tokenizer has no token {END_OF_TEXT!r}; train it with lmexp.")
        backend.encode_special_tokens = True
        self._backend = backend
        self.eos_token_id = int(eos_token_id)
        """Id of the token that ends every document."""
        self.vocab_size = int(backend.get_vocab_size(with_added_tokens=True))
        """Number of ids, the special token included."""

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read the tokenizer in directory `path`. Errors: `DataError` where there is none."""
        file = path / "tokenizer.json"
        if not file.exists():
            raise DataError(f"{path} holds no tokenizer.json; give the directory of a tokenizer artifact.")
        try:
            return cls(tokenizers.Tokenizer.from_file(str(file)))
        except DataError:
            raise
        except Exception as error:  # the library raises bare Exception
            raise DataError(f"{file} cannot be read as a tokenizer: {error}.") from None

    def save(self, path: Path, *, model_max_length: int | None = None) -> None:
        """Write tokenizer.json and tokenizer_config.json, which transformers' AutoTokenizer loads.

        `model_max_length`, in tokens, is the longest sequence of the model that goes with it.
        """
        config: dict[str, object] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END_OF_TEXT,
            "eos_token": END_OF_TEXT,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,  # text is data for readers of this folder, too
        }
        if model_max_length is not None:
            config["model_max_length"] = model_max_length
        path.mkdir(parents=True, exist_ok=True)
        (path / "tokenizer.json").write_text(self._backend.to_str(pretty=True) + "\n", encoding="utf-8")
        (path / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    def definition(self) -> dict[str, Any]:
        """Return what tokenizer.json holds."""
        return dict(json.loads(self._backend.to_str()))

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text; faster than one by one where threads are allowed."""
        encodings = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(encoding.ids) for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; bytes that are not UTF-8 become U+FFFD.

        The special token is written out as its name.
        """
        return str(self._backend.decode([int(i) for i in ids], skip_special_tokens=False))

    @functools.cached_property
    def token_contents(self) -> list[bytes]:
        """The bytes that each id stands for, vocab_size of them; none for a special token."""
        alphabet = {character: bytes([byte]) for byte, character in enumerate(byte_characters())}
        contents = [b""] * self.vocab_size
        for token, i in self._backend.get_vocab(with_added_tokens=True).items():
            contents[i] = b"".join(alphabet.get(character, character.encode()) for character in token)
        for i in self._backend.get_added_tokens_decoder():
            contents[i] = b""
        return contents

    @functools.cached_property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes that each id stands for, [vocab_size]; the special token has 0."""
        return np.array([len(content) for content in self.token_contents], dtype=np.int64)


def byte_characters() -> list[str]:
    """Return the character by which byte-level BPE writes each byte, from 0 to 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]
