"""Finds the kind of a tokenizer by its parts, and has it checked as that kind."""

from collections.abc import Mapping
from typing import Any

from lmexp.tokenizer.structure.byte_level import byte_level
from lmexp.tokenizer.structure.parts import Structure, check_alone, check_whole, leaves
from lmexp.tokenizer.structure.pieces import pieces
from lmexp.tokenizer.structure.wordpiece import wordpiece
from lmexp.tokenizer.structure.words import words


def check_structure(definition: Mapping[str, Any], where: str) -> Structure:
    """Return what the tokens of a tokenizer stand for.

    `definition` is what tokenizer.json holds, as the library writes it. Errors: `DataError`, which begins
    with `where`, for a tokenizer of which no promise follows.
    """
    check_whole(definition, where)
    check_alone(definition, where)
    kind = definition["model"].get("type")
    if kind == "WordLevel":
        return words(definition, where)
    if kind == "WordPiece":
        return wordpiece(definition, where)
    decoders = [part.get("type") for part in leaves(definition["decoder"], "decoders")]
    splits = [part.get("type") for part in leaves(definition["pre_tokenizer"], "pretokenizers")]
    if kind in ("BPE", "Unigram") and "Fuse" in decoders and "ByteLevel" not in splits:
        return pieces(definition, where)
    return byte_level(definition, where)
