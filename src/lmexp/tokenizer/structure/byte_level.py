"""Byte-level BPE, as GPT-2 and those after it have it: lossless.

Its promises follow from these parts:

- all 256 bytes are tokens;
- no normalizer: the text itself is encoded;
- the text is split and then written by `ByteLevel`, without a space added, and nothing that splits it
  removes what it splits at;
- byte-pair encoding that is the same each time (no dropout) and marks no words. `unk_token`, `fuse_unk`
  and `byte_fallback` speak of characters without a token, of which there are none, and `ignore_merges`
  chooses among tokens of the same bytes: they may have any value;
- a special token cannot come out of a text.
"""

from collections.abc import Mapping
from typing import Any

from lmexp.tokenizer.structure.alphabet import byte_characters
from lmexp.tokenizer.structure.parts import Structure, leaves, refuse, start_token

SPLITS = ("Split", "Digits", "Punctuation")
"""Pre-tokenizers that split a text where nothing but `Removed` would lose some of it."""


def byte_level(definition: Mapping[str, Any], where: str) -> Structure:
    """Return what the tokens stand for. Errors: `DataError` for what is no byte-level BPE."""
    _check_model(definition["model"], where)
    _check_pre_tokenizer(definition["pre_tokenizer"], where)
    decoder = (definition["decoder"] or {}).get("type")
    if decoder != "ByteLevel":
        refuse(where, "decoder.type", decoder, "it does not give bytes back", "only ByteLevel is taken")
    _check_added_tokens(definition, where)
    return Structure(
        contents=_contents(definition),
        joiner=b"",
        is_lossless=True,
        start_token_id=start_token(definition, where),
    )


def _contents(definition: Mapping[str, Any]) -> list[bytes]:
    alphabet = {character: bytes([byte]) for byte, character in enumerate(byte_characters())}
    found = {
        i: b"".join(alphabet.get(character, b"") for character in token)
        for token, i in definition["model"]["vocab"].items()
    }
    for token in definition["added_tokens"]:
        found[token["id"]] = b"" if token["special"] else token["content"].encode()
    return [found[i] for i in range(len(found))]


def _check_model(model: Mapping[str, Any], where: str) -> None:
    if model.get("type") != "BPE":
        refuse(where, "model.type", model.get("type"), "it is no byte-level BPE", "take one that is")
    if model.get("dropout"):
        refuse(
            where, "model.dropout", model["dropout"],
            "it encodes a text differently each time", "set model.dropout to null",
        )  # fmt: skip
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            refuse(
                where,
                f"model.{field}",
                model[field],
                "its tokens are not pieces of text",
                "only null is taken",
            )
    lacking = [byte for byte, character in enumerate(byte_characters()) if character not in model["vocab"]]
    if lacking:
        refuse(
            where, "model.vocab", f"without the byte 0x{lacking[0]:02x} ({len(lacking)} in all)",
            "texts that hold it would lose it", "train with all 256 bytes as initial_alphabet",
        )  # fmt: skip


def _check_pre_tokenizer(pre_tokenizer: Mapping[str, Any] | None, where: str) -> None:
    parts = list(leaves(pre_tokenizer, "pretokenizers"))
    remedy = "only ByteLevel is taken, behind any of " + ", ".join(SPLITS)
    for part in parts:
        kind = part.get("type")
        if kind not in ("ByteLevel", *SPLITS):
            refuse(where, "pre_tokenizer.type", kind, "it can change or lose text", remedy)
        if part.get("behavior") == "Removed":
            refuse(where, f"pre_tokenizer {kind}.behavior", "Removed", "it loses text", "Isolated keeps it")
        if part.get("add_prefix_space"):
            refuse(
                where, "pre_tokenizer.add_prefix_space", True,
                "it adds a space that the text does not have", "set it to false",
            )  # fmt: skip
    if sum(part.get("type") == "ByteLevel" for part in parts) != 1:
        kinds = [part.get("type") for part in parts]
        refuse(where, "pre_tokenizer", kinds, "it must write bytes as characters, once", remedy)


def _check_added_tokens(definition: Mapping[str, Any], where: str) -> None:
    model, alphabet = definition["model"], {c: bytes([byte]) for byte, c in enumerate(byte_characters())}
    vocab, added = model["vocab"], definition["added_tokens"]
    special = {token["content"] for token in added if token["special"]}
    names = {token["content"] for token in added}
    foreign = next((t for t in vocab if t not in names and not all(c in alphabet for c in t)), None)
    if foreign is not None:
        refuse(
            where, "model.vocab", f"with the token {foreign!r}",
            "it is not written in the characters of byte-level BPE", "list it in added_tokens",
        )  # fmt: skip
    for name in names & vocab.keys() - special:
        if b"".join(alphabet.get(c, b"") for c in name) != name.encode():
            refuse(
                where, "added_tokens", f"with {name!r}",
                "the same id is a token of model.vocab that stands for other bytes", "take one of them out",
            )  # fmt: skip
    inside = special & vocab.keys()
    made = inside & {"".join(pair) for pair in model["merges"]} if inside else set()
    reachable = made | {name for name in inside if len(name) == 1 or model.get("ignore_merges")}
    if reachable:
        refuse(
            where, "added_tokens", f"with the special token {min(reachable)!r}",
            "model.vocab and merges make it of ordinary text, too", "name it otherwise",
        )  # fmt: skip
