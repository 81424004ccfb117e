"""Encodes many texts at once, through the fastest encoder that gives exactly the tokenizer's ids.

Three encoders know byte-level BPE with GPT-2's pattern, in order of speed: `gigatoken`, `tiktoken`,
and `tokenizers`, which is the reference. The first two are optional packages. One of them is used
only after it gave the reference's ids for a sample: texts of the corpus, texts chosen to be hard,
and texts joined from two tokens each.

A sample cannot show everything: libraries carry tables of different Unicode versions, and a
character that is a letter in one and unknown to the other splits words differently. A text with a
character that Python's own table does not know goes through the reference, whatever the encoder.

Texts come as Arrow arrays and ids leave as numpy arrays: no Python object is made for a token, and
with gigatoken none for a text. Shapes: N texts, M tokens in all.
"""

import importlib.metadata
import itertools
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lmexp.errors import StageError
from lmexp.tokenizer.config import ENCODERS
from lmexp.tokenizer.hard_texts import hard_texts
from lmexp.tokenizer.library import LibraryTokenizer, raise_unless_foreign
from lmexp.tokenizer.structure import byte_characters
from lmexp.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import pyarrow as pa

_REFERENCE_BYTES = 2**20
"""Texts that `tokenizers` encodes at once; its result takes some hundred bytes a token."""


@dataclass(frozen=True)
class EncodedTexts:
    """The tokens of some texts, one text after another."""

    ids: NDArray[np.uint32]
    """[M] token ids, without any special token."""

    num_tokens: NDArray[np.int64]
    """[N] tokens of each text."""

    num_bytes: NDArray[np.int64]
    """[N] UTF-8 bytes of each text."""


class _Encoder(Protocol):
    def __call__(self, texts: "pa.StringArray") -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        """Return the ids [M] of all texts, and how many each of the [N] texts has."""


class TextEncoder:
    """An encoder that was compared with the reference, and the reference for what it may not know."""

    def __init__(self, name: str, encode: _Encoder, reference: _Encoder, record: Mapping[str, Any]) -> None:
        self.name = name
        """One of `ENCODERS`, or `own`."""
        self.record = dict(record)
        """`encoder`, its package's `version`, the `sample` it was compared on, and by name why a faster
        one was `rejected`."""
        self.texts_by_reference = 0
        """Texts so far that went through the reference because of an unknown character."""
        self._encode, self._reference = encode, reference
        self._characters = OldCharacters()

    def encode(self, texts: "pa.StringArray") -> EncodedTexts:
        """Encode texts, which must not be null."""
        offsets, data = text_buffers(texts)
        num_bytes = np.diff(offsets)
        if self._encode is self._reference or self._characters.are_all(data):
            return EncodedTexts(*self._encode(texts), num_bytes)
        unknown = np.array([not self._characters.are_all(data[a:b]) for a, b in itertools.pairwise(offsets)])
        self.texts_by_reference += int(unknown.sum())
        parts = [np.array([], dtype=np.uint32)]
        num_tokens = np.empty(len(texts), dtype=np.int64)
        edges = [0, *(np.flatnonzero(np.diff(unknown)) + 1).tolist(), len(texts)]
        for begin, end in itertools.pairwise(edges):
            encode = self._reference if unknown[begin] else self._encode
            ids, num_tokens[begin:end] = encode(texts.slice(begin, end - begin))
            parts.append(ids)
        return EncodedTexts(np.concatenate(parts), num_tokens, num_bytes)


class OldCharacters:
    """The characters that Python's Unicode table has: those on which newer tables agree."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def are_all(self, data: NDArray[np.uint8]) -> bool:
        """Say whether UTF-8 `data` holds nothing else."""
        # Every byte of a character past ASCII has its high bit set: what is kept is UTF-8 again.
        new = set(data[data >= 0x80].tobytes().decode()) - self._seen
        unknown = {character for character in new if unicodedata.category(character) == "Cn"}
        self._seen |= new - unknown
        return not unknown


def choose_encoder(tokenizer: Tokenizer, sample: Sequence[str], wanted: str = "auto") -> TextEncoder:
    """Return the fastest encoder that gives `tokenizer`'s ids on `sample` and on hard texts.

    `wanted` names one of `ENCODERS` instead.
    Errors: `StageError` where the wanted one cannot be used, with the reason.
    """
    import pyarrow as pa

    texts = pa.array([*hard_texts(tokenizer), *sample], pa.string())
    reference = _tokenizers(tokenizer)
    if not isinstance(tokenizer, LibraryTokenizer):
        return _own(tokenizer, reference, wanted)
    expected = reference(texts)
    rejected: dict[str, str] = {}
    for name in ENCODERS if wanted == "auto" else (wanted,):
        encode, reason = _attempt(name, tokenizer, reference)
        if encode is not None:
            record = {
                "encoder": name,
                "version": importlib.metadata.version(name),
                "sample": {"texts": len(texts), "bytes": int(np.diff(text_buffers(texts)[0]).sum())},
                "rejected": rejected,
            }
            encoder = TextEncoder(name, encode, reference, record)
            reason = None if encode is reference else _difference(encoder, texts, expected)
            if reason is None:
                return encoder
        rejected[name] = reason or ""
    raise StageError(f"packing.encoder={wanted} cannot be used: it {rejected[wanted]}; set it to auto.")


def text_buffers(texts: "pa.StringArray") -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the offsets [N + 1] and the UTF-8 bytes of an Arrow array of texts, without a copy of these."""
    _, offsets, data = texts.buffers()
    if offsets is None or len(texts) == 0:
        return np.zeros(1, dtype=np.int64), np.array([], dtype=np.uint8)
    window = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    begin, end = int(window[0]), int(window[-1])
    content = np.array([], dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
    return window.astype(np.int64) - begin, content[begin:end]


def _own(tokenizer: Tokenizer, encode: _Encoder, wanted: str) -> TextEncoder:
    """Return the encoder of a tokenizer of a user's own file: it encodes by itself."""
    if wanted != "auto":
        kind = type(tokenizer).__name__
        raise StageError(
            f"packing.encoder={wanted} cannot be used: {kind} encodes by itself; set it to auto."
        )
    return TextEncoder("own", encode, encode, {"encoder": "own", "kind": type(tokenizer).__name__})


def _attempt(
    name: str, tokenizer: LibraryTokenizer, reference: _Encoder
) -> tuple[_Encoder | None, str | None]:
    """Return an encoder, or why there is none."""
    if name == "tokenizers":
        return reference, None
    definition = tokenizer.definition()
    reason = _not_gpt2_bpe(definition)
    if reason is not None:
        return None, reason
    try:
        return _FAST[name](definition), None
    except ImportError:
        return None, "is not installed (it is a package of its own)"
    except BaseException as error:
        raise_unless_foreign(error)
        return None, f"does not take this tokenizer ({error})"


def _difference(
    encoder: TextEncoder, texts: "pa.StringArray", expected: tuple[NDArray[np.uint32], NDArray[np.int64]]
) -> str | None:
    """Return how `encoder` differs from the `expected` ids and counts, None where it does not."""
    try:
        found = encoder.encode(texts)
    except BaseException as error:
        raise_unless_foreign(error)
        return f"failed on the sample ({error})"
    finally:
        encoder.texts_by_reference = 0
    ids, num_tokens = expected
    if np.array_equal(found.num_tokens, num_tokens) and np.array_equal(found.ids, ids):
        return None
    theirs = np.split(found.ids, found.num_tokens.cumsum())
    ours = np.split(ids, num_tokens.cumsum())
    wrong = next(i for i, (a, b) in enumerate(zip(theirs, ours, strict=True)) if not np.array_equal(a, b))
    return f"gives other ids for {texts[wrong].as_py()[:40]!r}"


def _not_gpt2_bpe(definition: Mapping[str, Any]) -> str | None:
    """Return why a tokenizer.json is not plain byte-level BPE with GPT-2's pattern; None if it is."""
    model, pre_tokenizer = definition["model"], definition["pre_tokenizer"] or {}
    if model.get("ignore_merges"):
        return "does not ignore merges"
    wanted = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
    if any(pre_tokenizer.get(key) != value for key, value in wanted.items()):
        return "does not know its pre-tokenizer"
    if any(not token["special"] for token in definition["added_tokens"]):
        return "does not know its added tokens"
    return None


def _tokenizers(tokenizer: Tokenizer) -> _Encoder:
    def encode(texts: "pa.StringArray") -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        parts = [np.array([], dtype=np.uint32)]
        num_tokens = np.zeros(len(texts), dtype=np.int64)
        ends = text_buffers(texts)[0][1:]
        begin = 0
        while begin < len(texts):
            limit = (int(ends[begin - 1]) if begin else 0) + _REFERENCE_BYTES
            end = max(begin + 1, int(np.searchsorted(ends, limit, side="right")))
            for i, ids in enumerate(tokenizer.encode_batch(texts.slice(begin, end - begin).to_pylist())):
                num_tokens[begin + i] = len(ids)
                parts.append(np.array(ids, dtype=np.uint32))
            begin = end
        return np.concatenate(parts), num_tokens

    return encode


def _tiktoken(definition: Mapping[str, Any]) -> _Encoder:
    import tiktoken
    from tiktoken_ext.openai_public import r50k_pat_str

    model = definition["model"]
    merged = [model["vocab"]["".join(pair)] for pair in model["merges"]]
    if any(a >= b for a, b in itertools.pairwise(merged)):
        raise ValueError("its ids are not in the order of its merges")
    special = {token["content"] for token in definition["added_tokens"]}
    alphabet = {character: byte for byte, character in enumerate(byte_characters())}
    ranks = {
        bytes(alphabet[character] for character in token): i
        for token, i in model["vocab"].items()
        if token not in special
    }
    encoding = tiktoken.Encoding("lmexp", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})

    def encode(texts: "pa.StringArray") -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        parts = [encoding.encode_to_numpy(text, disallowed_special=()) for text in texts.to_pylist()]
        num_tokens = np.array([len(ids) for ids in parts], dtype=np.int64)
        return np.concatenate([np.array([], dtype=np.uint32), *parts]), num_tokens

    return encode


def _gigatoken(definition: Mapping[str, Any]) -> _Encoder:
    import awkward as ak
    import gigatoken

    # Without its special tokens, a text that names one is encoded as any other text.
    plain = {**definition, "added_tokens": [], "post_processor": None}
    backend = gigatoken.Tokenizer.from_json(json.dumps(plain)).backend

    def encode(texts: "pa.StringArray") -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
        offsets, data = text_buffers(texts)
        if len(offsets) == 1:
            return np.array([], dtype=np.uint32), np.array([], dtype=np.int64)
        content = ak.contents.NumpyArray(data, parameters={"__array__": "char"})
        layout = ak.contents.ListOffsetArray(
            ak.index.Index64(offsets), content, parameters={"__array__": "string"}
        )
        found = backend.encode_batch(ak.Array(layout), parallel=False).layout.to_packed()
        return np.asarray(found.content.data, dtype=np.uint32), np.diff(np.asarray(found.offsets))

    return encode


_FAST: dict[str, Callable[[Mapping[str, Any]], _Encoder]] = {"gigatoken": _gigatoken, "tiktoken": _tiktoken}
