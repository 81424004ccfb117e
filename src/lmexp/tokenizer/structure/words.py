"""Words between white space: a closed vocabulary, and one token for every other word.

The parts are `WordLevel`, `WhitespaceSplit` and no decoder, by which the library joins tokens with a space.
White space is Unicode's property, which Python's four information separators (U+001C to U+001F) do not have.
What comes back from the tokens of a text is the text where each word is in the vocabulary, one space stands
between two of them, and none at the ends; anything else is lost.

The unknown token is an ordinary word where the text has it, as in the form of the Penn Treebank in which it
stands for rare words: its bytes are those of its name. No other special token is a word of the vocabulary, so
that none comes out of a text.
"""

import re
from collections.abc import Mapping
from typing import Any

from lmexp.tokenizer.structure.parts import Structure, refuse, start_token

_SEPARATORS = re.compile("[\x1c-\x1f]")
_WORDS = re.compile("(?:[\x1c-\x1f]|\\S)+")


def split_words(text: str) -> list[str]:
    """Return what stands between white space."""
    return _WORDS.findall(text) if _SEPARATORS.search(text) else text.split()


def words(definition: Mapping[str, Any], where: str) -> Structure:
    """Return what the tokens stand for. Errors: `DataError` for parts of which that does not follow."""
    model = definition["model"]
    kind = (definition["pre_tokenizer"] or {}).get("type")
    if kind != "WhitespaceSplit":
        refuse(where, "pre_tokenizer.type", kind, "WordLevel asks for words", "only WhitespaceSplit is taken")
    decoder = (definition["decoder"] or {}).get("type")
    if decoder is not None:
        refuse(where, "decoder.type", decoder, "words are joined by a space without one", "set it to null")
    check_unknown(definition, where, model.get("unk_token"))
    for word in model["vocab"]:
        if split_words(word) != [word]:
            refuse(
                where, "model.vocab", f"with {word!r}",
                "no word between white space is equal to it", "take it out",
            )  # fmt: skip
    return Structure(
        contents=contents_by_name(definition),
        joiner=b" ",
        is_lossless=False,
        start_token_id=start_token(definition, where),
    )


def check_unknown(
    definition: Mapping[str, Any], where: str, unknown: str | None, *, needed: bool = True
) -> None:
    """Raise `DataError` unless unknown pieces have a token, and every other special token is no text.

    Without an `unknown` token none may be `needed`.
    """
    vocab = vocabulary(definition["model"])
    if unknown not in vocab and (needed or unknown):
        refuse(
            where, "model.unk_token", unknown or None,
            "text without a token would vanish", "name a token of model.vocab",
        )  # fmt: skip
    for token in definition["added_tokens"]:
        name = token["content"]
        if not token["special"]:
            refuse(
                where, "added_tokens", f"with {name!r}, which is not special",
                "it would split what is one piece of text", "make it a token of model.vocab",
            )  # fmt: skip
        if name in vocab and name != unknown:
            refuse(
                where, "added_tokens", f"with the special token {name!r}",
                "a text that holds it would become it", "take it out of model.vocab",
            )  # fmt: skip


def vocabulary(model: Mapping[str, Any]) -> dict[str, int]:
    """Return the id of each token of a model; Unigram lists them with their scores."""
    vocab = model["vocab"]
    return dict(vocab) if isinstance(vocab, Mapping) else {entry[0]: i for i, entry in enumerate(vocab)}


def contents_by_name(definition: Mapping[str, Any]) -> list[bytes]:
    """Return what each id stands for: a token of the vocabulary for its name, the others for nothing."""
    found = {token["id"]: b"" for token in definition["added_tokens"]}
    found |= {i: token.encode() for token, i in vocabulary(definition["model"]).items()}
    return [found[i] for i in range(len(found))]
