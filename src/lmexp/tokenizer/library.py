"""Tokenizers that the library `tokenizers` runs: a tokenizer.json whose structure is known.

What its tokens stand for follows from its parts (`lmexp.tokenizer.structure`): a `LibraryTokenizer` that
exists keeps the rules of `lmexp.tokenizer.tokenizer` for every text.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from lmexp.core.values.foreign import read_object
from lmexp.errors import DataError
from lmexp.tokenizer.roles import OPTIONAL, roles_of
from lmexp.tokenizer.structure import check_ids, check_structure
from lmexp.tokenizer.tokenizer import Tokenizer

FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


class LibraryTokenizer(Tokenizer):
    """A tokenizer of the library."""

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
        self._structure = check_structure(definition, where)
        self.roles = roles_of(config or {}, special, self._structure.start_token_id, where)
        self.vocab_size = int(backend.get_vocab_size(with_added_tokens=True))
        self.is_lossless = self._structure.is_lossless
        self.joiner = self._structure.joiner
        self.glued = self._structure.glued

    @classmethod
    def read(cls, path: Path) -> "LibraryTokenizer":
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
        optional = {f"{role}_token": getattr(self.roles, f"{role}_token_id") for role in OPTIONAL}
        config: dict[str, object] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": names[self.bos_token_id].content,
            "eos_token": names[self.eos_token_id].content,
            **{role: names[i].content for role, i in optional.items() if i is not None},
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

    def lost(self, text: str) -> list[tuple[str, str]]:
        """Return each piece of `text` that does not come back, with what stands in its place."""
        return [] if self.is_lossless else [pair for pair in self._aligned(text) if pair[0] != pair[1]]

    @functools.cached_property
    def token_contents(self) -> list[bytes]:
        """The bytes that each id stands for, vocab_size of them; none for a special token."""
        return self._structure.contents

    @functools.cached_property
    def token_names(self) -> list[bytes]:
        """What is written for each id: its content, or the name of a special token."""
        names = list(self.token_contents)
        for i, added in self._backend.get_added_tokens_decoder().items():
            names[i] = added.content.encode()
        return names

    @functools.cached_property
    def token_strings(self) -> list[str]:
        """What tokenizer.json calls each id."""
        strings = [""] * self.vocab_size
        for token, i in self._backend.get_vocab(with_added_tokens=True).items():
            strings[i] = token
        return strings

    def _aligned(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield the pieces of a text in order, each with what its tokens stand for; they join to both."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        place, joiner = 0, self.joiner.decode()
        for n, (i, (begin, end)) in enumerate(zip(encoding.ids, encoding.offsets, strict=True)):
            yield text[place:begin], "" if n == 0 or i in self.glued else joiner
            yield text[begin:end], self.token_contents[i].decode()
            place = end
        yield text[place:], ""


def raise_unless_foreign(error: BaseException) -> None:
    """Raise `error` again unless it is a failure of a library: a panic in Rust is no `Exception`."""
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
        raise error


def _check_as_written(raw: Mapping[str, Any], backend: tokenizers.Tokenizer, file: Path) -> None:
    """Raise `DataError` for ids that the library does not take as the file has them: it renumbers."""
    vocab = raw["model"].get("vocab")
    if not isinstance(vocab, Mapping):
        return  # a list, which numbers itself
    written = [*vocab.items(), *((t["content"], t["id"]) for t in raw.get("added_tokens") or ())]
    check_ids(written, str(file))
    found = backend.get_vocab(with_added_tokens=True)
    for token, i in written:
        if found.get(token) != i:
            raise DataError(
                f"{file} gives {token!r} the id {i}, and another entry of it the id {found.get(token)}; give "
                f"each token one id of its own."
            )
