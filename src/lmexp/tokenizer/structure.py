"""Which tokenizers keep the promises of `lmexp.tokenizer.tokenizer`, by what their tokenizer.json says.

A promise about all texts cannot be tried on some. It follows from the parts that a tokenizer is made of,
and only parts from which it follows are accepted:

- the ids are 0 to V - 1, each of one token, and all 256 bytes are tokens;
- no normalizer, no truncation, no padding: the text itself is encoded, all of it;
- the text is split and then written by `ByteLevel`, without a space added, and nothing that splits it
  removes what it splits at;
- byte-pair encoding that is the same each time (no dropout) and marks no words. `unk_token`, `fuse_unk`
  and `byte_fallback` speak of characters without a token, of which there are none, and `ignore_merges`
  chooses among tokens of the same bytes: they may have any value;
- an added token stands for its own characters and takes none beside it (`lstrip`, `rstrip`,
  `single_word`); without a normalizer `normalized` means nothing. A special one cannot come out of a text;
- the post-processor adds nothing, or one start token before the text, which is then part of every prompt.

Whatever else is found is refused, with the field, its value and what to do about it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lmexp.errors import DataError

_SPLITS = ("Split", "Digits", "Punctuation")
"""Pre-tokenizers that split a text where nothing but `Removed` would lose some of it."""


def byte_characters() -> list[str]:
    """Return the character by which byte-level BPE writes each byte, from 0 to 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


def check_ids(tokens: Iterable[tuple[str, int]], where: str) -> None:
    """Raise `DataError` unless the ids of all `tokens` are 0 to V - 1, each of one token."""
    owner: dict[int, str] = {}
    for token, i in tokens:
        if owner.setdefault(i, token) != token:
            raise DataError(
                f"{where} gives the id {i} to {owner[i]!r} and to {token!r}; give each token its own id."
            )
    missing = next((i for i in range(len(owner)) if i not in owner), None)
    if missing is not None:
        raise DataError(
            f"{where} has {len(owner)} tokens with ids up to {max(owner)}, and none with the id {missing}; "
            f"the ids must be 0 to {len(owner) - 1}: add a token for each that is left out."
        )


def check_structure(definition: Mapping[str, Any], where: str) -> int | None:
    """Return the id of the token that is put before every text, None where there is none.

    `definition` is what tokenizer.json holds, as the library writes it. Errors: `DataError` for a
    tokenizer of which the promises do not follow.
    """
    for field in ("truncation", "padding"):
        if definition[field] is not None:
            _refuse(where, field, definition[field], "it cuts or fills texts", f"set {field} to null")
    for part in _leaves(definition["normalizer"], "normalizers"):
        _refuse(
            where, "normalizer", part.get("type"),
            "it changes a text before it is encoded, and figures are of the text itself",
            "set normalizer to null, which is the same tokenizer for texts that it would not change",
        )  # fmt: skip
    _check_model(definition["model"], where)
    _check_pre_tokenizer(definition["pre_tokenizer"], where)
    decoder = (definition["decoder"] or {}).get("type")
    if decoder != "ByteLevel":
        _refuse(where, "decoder.type", decoder, "it does not give bytes back", "only ByteLevel is taken")
    _check_added_tokens(definition, where)
    return _start_token(definition, where)


def _check_model(model: Mapping[str, Any], where: str) -> None:
    if model.get("type") != "BPE":
        _refuse(where, "model.type", model.get("type"), "it is no byte-level BPE", "take one that is")
    if model.get("dropout"):
        _refuse(
            where, "model.dropout", model["dropout"],
            "it encodes a text differently each time", "set model.dropout to null",
        )  # fmt: skip
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            _refuse(
                where,
                f"model.{field}",
                model[field],
                "its tokens are not pieces of text",
                "only null is taken",
            )
    lacking = [byte for byte, character in enumerate(byte_characters()) if character not in model["vocab"]]
    if lacking:
        _refuse(
            where, "model.vocab", f"without the byte 0x{lacking[0]:02x} ({len(lacking)} in all)",
            "texts that hold it would lose it", "train with all 256 bytes as initial_alphabet",
        )  # fmt: skip


def _check_pre_tokenizer(pre_tokenizer: Mapping[str, Any] | None, where: str) -> None:
    parts = list(_leaves(pre_tokenizer, "pretokenizers"))
    remedy = "only ByteLevel is taken, behind any of " + ", ".join(_SPLITS)
    for part in parts:
        kind = part.get("type")
        if kind not in ("ByteLevel", *_SPLITS):
            _refuse(where, "pre_tokenizer.type", kind, "it can change or lose text", remedy)
        if part.get("behavior") == "Removed":
            _refuse(where, f"pre_tokenizer {kind}.behavior", "Removed", "it loses text", "Isolated keeps it")
        if part.get("add_prefix_space"):
            _refuse(
                where, "pre_tokenizer.add_prefix_space", True,
                "it adds a space that the text does not have", "set it to false",
            )  # fmt: skip
    if sum(part.get("type") == "ByteLevel" for part in parts) != 1:
        kinds = [part.get("type") for part in parts]
        _refuse(where, "pre_tokenizer", kinds, "it must write bytes as characters, once", remedy)


def _check_added_tokens(definition: Mapping[str, Any], where: str) -> None:
    model, alphabet = definition["model"], {c: bytes([byte]) for byte, c in enumerate(byte_characters())}
    vocab, added = model["vocab"], definition["added_tokens"]
    for token in added:
        for field in ("lstrip", "rstrip", "single_word"):
            if token[field]:
                _refuse(
                    where, f"{field} of the added token {token['content']!r}", True,
                    "where it stands would depend on the white space or letters beside it",
                    f"set its {field} to false",
                )  # fmt: skip
    special = {token["content"] for token in added if token["special"]}
    names = {token["content"] for token in added}
    foreign = next((t for t in vocab if t not in names and not all(c in alphabet for c in t)), None)
    if foreign is not None:
        _refuse(
            where, "model.vocab", f"with the token {foreign!r}",
            "it is not written in the characters of byte-level BPE", "list it in added_tokens",
        )  # fmt: skip
    for name in names & vocab.keys() - special:
        if b"".join(alphabet.get(c, b"") for c in name) != name.encode():
            _refuse(
                where, "added_tokens", f"with {name!r}",
                "the same id is a token of model.vocab that stands for other bytes", "take one of them out",
            )  # fmt: skip
    inside = special & vocab.keys()
    made = inside & {"".join(pair) for pair in model["merges"]} if inside else set()
    reachable = made | {name for name in inside if len(name) == 1 or model.get("ignore_merges")}
    if reachable:
        _refuse(
            where, "added_tokens", f"with the special token {min(reachable)!r}",
            "model.vocab and merges make it of ordinary text, too", "name it otherwise",
        )  # fmt: skip


def _start_token(definition: Mapping[str, Any], where: str) -> int | None:
    """Return the id that the post-processor puts before a text."""
    special = {token["id"] for token in definition["added_tokens"] if token["special"]}
    start = None
    for part in _leaves(definition["post_processor"], "processors"):
        if part.get("type") == "ByteLevel":
            continue  # it moves offsets, not tokens
        if part.get("type") != "TemplateProcessing":
            _refuse(
                where, "post_processor.type", part.get("type"),
                "it adds tokens that lmexp does not know", "set post_processor to null",
            )  # fmt: skip
        *names, last = [piece.get("SpecialToken", {}).get("id") for piece in part["single"]] or [""]
        if last is not None or None in names or len(names) + (start is not None) > 1:  # None is the text
            pieces = ["the text" if name is None else name for name in (*names, last)]
            _refuse(
                where, "post_processor.single", pieces,
                "it is more than one start token and the text", "set post_processor to null, or leave these",
            )  # fmt: skip
        for name in names:
            ids = part["special_tokens"][name]["ids"]
            if len(ids) != 1 or ids[0] not in special:
                _refuse(
                    where, f"post_processor.special_tokens[{name!r}].ids", ids,
                    "they are not the id of one special token of added_tokens", "make it so",
                )  # fmt: skip
            start = int(ids[0])
    return start


def _leaves(part: Mapping[str, Any] | None, plural: str) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a part that may be a sequence of parts, or nothing."""
    if part is None:
        return
    if part.get("type") != "Sequence":
        yield part
        return
    for inner in part[plural]:
        yield from _leaves(inner, plural)


def _refuse(where: str, field: str, value: Any, why: str, remedy: str) -> None:
    raise DataError(f"{where} has {field} {_short(value)}: {why}; {remedy}.")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
