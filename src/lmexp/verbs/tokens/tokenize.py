"""Shows the tokens of a text, under one tokenizer or several side by side: ids, pieces and bytes."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lmexp.core.values.terminal import width_of
from lmexp.errors import ConfigError
from lmexp.verbs.tokens.named import tokenizer_of
from lmexp.verbs.words import print_json, text_lines

if TYPE_CHECKING:
    from lmexp.tokenizer.tokenizer import Tokenizer


def tokenize(arguments: argparse.Namespace) -> int:
    """TEXT ... --tokenizer WHAT: the tokens of a text, their ids and bytes"""
    stores = [word for word in arguments.words if word.startswith("store=")]
    texts = [word for word in arguments.words if not word.startswith("store=")]
    if not texts or not arguments.tokenizer:
        raise ConfigError("tokenize takes at least one TEXT and --tokenizer WHAT; see lmexp tokenize --help.")
    learnt = None if arguments.learn is None else text_lines(arguments.learn)
    named = {what: tokenizer_of(what, stores, learnt) for what in arguments.tokenizer}
    found = [
        {"tokenizer": what, "texts": [_as_json(tokenizer, text) for text in texts]}
        for what, tokenizer in named.items()
    ]
    if arguments.json:
        print_json({"tokenizers": found})
        return 0
    for i, (what, entry) in enumerate(zip(named, found, strict=True)):
        if len(named) > 1:
            print(f"{'' if i == 0 else chr(10)}{what}")
        for one in entry["texts"]:
            print("\n".join(lines_of(one)))
    return 0


def _as_json(tokenizer: "Tokenizer", text: str) -> dict[str, Any]:
    """Return the tokens of a text, with their bytes in hexadecimal digits, and whether it comes back."""
    from lmexp.tokenizer.spelling import tokens_of

    tokens = tokens_of(tokenizer, text)
    return {
        "text": text,
        "bytes": len(text.encode()),
        "comes_back": tokenizer.decode([token.id for token in tokens]) == text,
        "tokens": [{"id": t.id, "text": t.text, "bytes": t.content.hex(" ")} for t in tokens],
    }


def lines_of(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that show the tokens of a text, one line each."""
    tokens = found["tokens"]
    back = "" if found["comes_back"] else "; the text does not come back from them"
    yield f"{found['text']!r}: {len(tokens)} tokens of {found['bytes']} bytes{back}"
    width = max((width_of(token["text"]) for token in tokens), default=0)
    for token in tokens:
        padding = " " * (width - width_of(token["text"]))
        yield f"{token['id']:8}  {token['text']}{padding}  {token['bytes']}".rstrip()
