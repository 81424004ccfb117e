"""WordPiece as in BERT (Devlin et al., arXiv 1810.04805): a word is written by pieces from left to right.

The parts are `WordPiece` with the prefix ``##`` of pieces that go on with a word, `BertPreTokenizer` and the
decoder `WordPiece` without cleaning up. Words are split at white space and around every punctuation mark, so
that none begins with ``##``. What comes back has one space between two words, also around marks that had
none; a word that the pieces cannot write, or that is too long, becomes the unknown token. All that is lost.
"""

from collections.abc import Mapping
from typing import Any

from lmexp.tokenizer.structure.parts import Structure, refuse, start_token
from lmexp.tokenizer.structure.words import check_unknown, contents_by_name, vocabulary

PREFIX = "##"
"""Begins the names of pieces that go on with a word."""


def wordpiece(definition: Mapping[str, Any], where: str) -> Structure:
    """Return what the tokens stand for. Errors: `DataError` for parts of which that does not follow."""
    model, decoder = definition["model"], definition["decoder"] or {}
    kind = (definition["pre_tokenizer"] or {}).get("type")
    if kind != "BertPreTokenizer":
        refuse(
            where, "pre_tokenizer.type", kind,
            "a word could begin like a piece within one", "only BertPreTokenizer is taken",
        )  # fmt: skip
    for name, part, field in (("model", model, "continuing_subword_prefix"), ("decoder", decoder, "prefix")):
        if part.get(field) != PREFIX:
            refuse(
                where, f"{name}.{field}", part.get(field),
                "pieces within a word could not be told apart", f"only {PREFIX} is taken",
            )  # fmt: skip
    if decoder.get("type") != "WordPiece" or decoder.get("cleanup"):
        refuse(
            where, "decoder", f"{decoder.get('type')} with cleanup {decoder.get('cleanup')}",
            "the pieces would not come back", "set it to WordPiece with cleanup false",
        )  # fmt: skip
    check_unknown(definition, where, model.get("unk_token"))
    contents, glued = contents_by_name(definition), set()
    for name, i in vocabulary(model).items():
        if name.startswith(PREFIX) and name != PREFIX:
            contents[i] = name[len(PREFIX) :].encode()
            glued.add(i)
    return Structure(
        contents=contents,
        joiner=b" ",
        glued=frozenset(glued),
        is_lossless=False,
        start_token_id=start_token(definition, where),
    )
