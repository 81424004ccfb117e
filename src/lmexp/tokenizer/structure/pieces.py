"""Pieces of text in Unicode characters: BPE and Unigram that know nothing of bytes, or fall back on them.

The parts are `BPE` or `Unigram`, pre-tokenizers that split and remove nothing, and the decoder `Fuse`, by
which tokens are joined with nothing between them. A character without a token is

- lost where there is an unknown token: it becomes that one, and with `Unigram` all such characters in a row
  become one;
- written by the tokens ``<0x00>`` to ``<0xFF>`` of its bytes where `byte_fallback` is set and the decoder is
  `ByteFallback`, `Fuse`. All 256 are there then, and every text comes back. A text that reads like the name
  of such a token must not become it, so that no merge gives one, and `Unigram`, which looks all names up, is
  taken only where `WORDS` splits them.
"""

from collections.abc import Mapping
from typing import Any

from lmexp.tokenizer.structure.byte_level import SPLITS
from lmexp.tokenizer.structure.parts import Structure, leaves, refuse, start_token
from lmexp.tokenizer.structure.words import check_unknown, contents_by_name, vocabulary

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
"""The names of the tokens of bytes, from 0 to 255."""

WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's pattern: words with the space before them, numbers, other characters, white space."""


def pieces(definition: Mapping[str, Any], where: str) -> Structure:
    """Return what the tokens stand for. Errors: `DataError` for parts of which that does not follow."""
    model, merges = definition["model"], definition["model"].get("merges", ())
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk"):
        if model.get(field):
            refuse(
                where, f"model.{field}", model[field],
                "tokens would not be pieces of the text, always the same", f"set model.{field} to null",
            )  # fmt: skip
    splits = _splits(definition, where)
    falls_back = bool(model.get("byte_fallback"))
    decoders = [part.get("type") for part in leaves(definition["decoder"], "decoders")]
    wanted = ["ByteFallback", "Fuse"] if falls_back else ["Fuse"]
    if decoders != wanted:
        refuse(where, "decoder", decoders, "it does not give the pieces back", f"only {wanted} is taken")
    made = {"".join(pair) for pair in merges}
    unknown = _unknown(model) or ""
    if len(unknown) == 1 or unknown in made:
        refuse(where, "model.unk_token", unknown, "ordinary text becomes it, too", "name it otherwise")
    if falls_back:
        _check_bytes(definition, made, is_split=any(_is_words(part) for part in splits), where=where)
    check_unknown(definition, where, unknown, needed=not falls_back)
    contents = contents_by_name(definition)
    numbers = vocabulary(model) if falls_back else {}
    for byte, name in enumerate(BYTES if falls_back else ()):
        contents[numbers[name]] = bytes([byte])
    return Structure(
        contents=contents,
        joiner=b"",
        is_lossless=falls_back,
        start_token_id=start_token(definition, where),
    )


def _splits(definition: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    """Return the pre-tokenizers. Errors: `DataError` for one that does more than to split."""
    parts = list(leaves(definition["pre_tokenizer"], "pretokenizers"))
    for part in parts:
        if part.get("type") not in SPLITS or part.get("behavior") == "Removed":
            refuse(
                where, "pre_tokenizer.type", f"{part.get('type')} {part.get('behavior') or ''}".strip(),
                "it can change or lose text", f"only {', '.join(SPLITS)} are taken, and none that removes",
            )  # fmt: skip
    return parts


def _check_bytes(definition: Mapping[str, Any], made: set[str], *, is_split: bool, where: str) -> None:
    """Raise `DataError` unless each byte has a token, which comes out of no text but as that byte."""
    lacking = [name for name in BYTES if name not in vocabulary(definition["model"])]
    if lacking:
        refuse(
            where, "model.vocab", f"without the byte {lacking[0]} ({len(lacking)} in all)",
            "texts that hold it would lose it", "add a token for each byte, or set byte_fallback to false",
        )  # fmt: skip
    spelled = made.intersection(BYTES)
    if spelled:
        refuse(
            where, "model.merges", f"with {min(spelled)!r}",
            "a text that reads like it would become the byte", "take the merge out",
        )  # fmt: skip
    if definition["model"]["type"] == "Unigram" and not is_split:
        refuse(
            where, "model.byte_fallback", True,
            "a text that reads like <0x41> would become the byte", "split by GPT-2's pattern before it",
        )  # fmt: skip


def _is_words(part: Mapping[str, Any]) -> bool:
    pattern = part.get("pattern")
    return (
        part.get("type") == "Split"
        and isinstance(pattern, Mapping)
        and pattern.get("Regex") == WORDS
        and part.get("behavior") == "Isolated"
        and not part.get("invert")
    )


def _unknown(model: Mapping[str, Any]) -> str | None:
    """Return the name of the unknown token."""
    if model["type"] != "Unigram":
        return model.get("unk_token")
    number = model.get("unk_id")
    return None if number is None else str(model["vocab"][number][0])
