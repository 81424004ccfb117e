"""A byte-level tokenizer that round-trips every text and knows the bytes of each token.

It wraps a Hugging Face `tokenizers` model. Three rules hold:

- text is data: a text that contains the literal ``<|endoftext|>`` is encoded as ordinary bytes, so
  that no document can end another one; the special token enters by its id alone;
- the bytes of a text's tokens add up to the bytes of the text, special tokens counting zero. This
  makes bits per byte comparable across tokenizers;
- a model reads a text as `begun` gives it: behind a start token where the tokenizer's post-processor
  puts one, as it is otherwise.

They are checked by structure (`lmexp.tokenizer.structure`): a `Tokenizer` that exists keeps them for
every text.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray

from lmexp.core.values.foreign import read_object
from lmexp.errors import DataError
from lmexp.tokenizer.roles import roles_of
from lmexp.tokenizer.structure import byte_characters, check_ids, check_structure

FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


class Tokenizer:
    """Text to token ids and back."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        config: Mapping[str, Any] | None = None,
        *,
        where: str = "The tokenizer",
    ) -> None:
        """Take `backend`, with the roles that `config` (tokenizer_config.json) gives its special tokens.

        Errors: `DataError`, which begins with `where`, for one that does not keep the rules.
        """
        check_ids(backend.get_vocab(with_added_tokens=True).items(), where)
        backend.encode_special_tokens = True
        self._backend = backend
        definition = self.definition()
        special = {token["content"]: token["id"] for token in definition["added_tokens"] if token["special"]}
        roles = roles_of(config or {}, special, check_structure(definition, where), where)
        self.eos_token_id = roles.eos_token_id
        """Id of the token that ends a text."""
        self.bos_token_id = roles.bos_token_id
        """Id of the token that stands between documents, and before the first token of each."""
        self.start_ids = (roles.bos_token_id,) if roles.starts_every_text else ()
        """What a model reads before every text, a prompt too: `bos_token_id`, or nothing."""
        self.vocab_size = int(backend.get_vocab_size(with_added_tokens=True))
        """Number of ids, special tokens included."""

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read the tokenizer in directory `path`. Errors: `DataError` where there is none."""
        file, config = path / FILE, path / CONFIG_FILE
        if not file.exists():
            raise DataError(f"{path} holds no {FILE}; give the directory of a tokenizer artifact.")
        raw = read_object(file)
        try:
            backend = tokenizers.Tokenizer.from_str(json.dumps(raw))
        except BaseException as error:  # the library raises bare Exception, and panics
            raise_unless_foreign(error)
            raise DataError(f"{file} cannot be read as a tokenizer: {error}.") from None
        _check_as_written(raw, backend, file)
        return cls(backend, read_object(config) if config.exists() else None, where=str(file))

    def save(self, path: Path) -> None:
        """Write tokenizer.json and tokenizer_config.json, which transformers' AutoTokenizer loads."""
        names = self._backend.get_added_tokens_decoder()
        config: dict[str, object] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": names[self.bos_token_id].content,
            "eos_token": names[self.eos_token_id].content,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,  # text is data for readers of this folder, too
        }
        path.mkdir(parents=True, exist_ok=True)
        (path / FILE).write_text(self._backend.to_str(pretty=True) + "\n", encoding="utf-8")
        (path / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

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
        names = self._names
        return b"".join(names[i] for i in map(int, ids) if 0 <= i < len(names)).decode("utf-8", "replace")

    @functools.cached_property
    def token_contents(self) -> list[bytes]:
        """The bytes that each id stands for, vocab_size of them; none for a special token."""
        alphabet = {character: bytes([byte]) for byte, character in enumerate(byte_characters())}
        contents = [b""] * self.vocab_size
        for token, i in self._backend.get_vocab(with_added_tokens=True).items():
            contents[i] = b"".join(alphabet.get(character, b"") for character in token)
        for i, added in self._backend.get_added_tokens_decoder().items():
            contents[i] = b"" if added.special else added.content.encode()
        return contents

    @functools.cached_property
    def token_bytes(self) -> NDArray[np.int64]:
        """Bytes that each id stands for, [vocab_size]; a special token has 0."""
        return np.array([len(content) for content in self.token_contents], dtype=np.int64)

    @functools.cached_property
    def _names(self) -> list[bytes]:
        """What `decode` writes for each id."""
        names = list(self.token_contents)
        for i, added in self._backend.get_added_tokens_decoder().items():
            names[i] = added.content.encode()
        return names


def raise_unless_foreign(error: BaseException) -> None:
    """Raise `error` again unless it is a failure of a library: a panic in Rust is no `Exception`."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def _check_as_written(raw: Mapping[str, Any], backend: tokenizers.Tokenizer, file: Path) -> None:
    """Raise `DataError` for ids that the library does not take as the file has them: it renumbers."""
    vocab = raw["model"].get("vocab")
    if not isinstance(vocab, Mapping):
        return  # of no BPE, which the structure says
    written = [*vocab.items(), *((t["content"], t["id"]) for t in raw.get("added_tokens") or ())]
    check_ids(written, str(file))
    found = backend.get_vocab(with_added_tokens=True)
    for token, i in written:
        if found.get(token) != i:
            raise DataError(
                f"{file} gives {token!r} the id {i}, and another entry of it the id {found.get(token)}; give "
                f"each token one id of its own."
            )
