r"""How a command is written, for the two readers that it has: the shell, and then Hydra's grammar.

`override` spells one ``key=value`` so that Hydra reads the value that was meant: text that could be taken for
something else stands in single quotes, and a literal ``${`` is kept from being an interpolation. In quotes
every other character stands for itself: ``\n`` is a backslash and an n, a line end is a line end. `command`
spells words so that a shell reads them back, and so that nothing in them can move the cursor of a terminal.

Everything that lmexp prints as a command comes from here, and nothing else does its quoting.

Limits: Hydra's grammar has no names but ASCII identifiers for keys, and ``???`` means a missing value.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmexp.core.values.terminal import STEERING
from lmexp.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*", re.ASCII)
"""Text that needs no quotes in Hydra's grammar, unless it is one of its words."""
_WORDS = frozenset(("null", "true", "false", "nan", "inf"))
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*", re.ASCII)
_PREFIXED_KEY = re.compile(rf"[+~]{{0,2}}{_KEY.pattern}(/{_KEY.pattern})*(@[\w.]*)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_BARE = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*", re.ASCII)
"""A word that every shell takes as it stands."""


def override(key: str, value: Any) -> str:
    """Return ``key=value`` in Hydra's grammar; lists and mappings may be nested.

    Errors: `ConfigError` for a key or a value that this grammar has no spelling for.
    """
    if not _PREFIXED_KEY.fullmatch(key):
        raise ConfigError(f"{key!r} cannot be written as a key on a command line; write it in a YAML file.")
    return f"{key}={_value(value)}"


def command(words: Iterable[str]) -> str:
    """Return the words as one line for a shell to read."""
    return " ".join(_shell_word(word) for word in words)


def unquoted(text: str) -> str:
    """Return what the text of a value stands for where no grammar reads it: without quotes around all of it.

    So the spelling of `override` is also read by the verbs that take their words as they are.
    """
    match = re.fullmatch(r"(['\"])((?:\\\\)*|.*?[^\\](?:\\\\)*)\1", text, re.DOTALL)
    if not match or re.search(rf"(?<!\\)(?:\\\\)*{match[1]}", match[2]):
        return text
    quoted = re.sub(rf"(\\+)(?={match[1]}|$)", lambda m: "\\" * (len(m[1]) // 2), match[2])
    return re.sub(r"(\\+)\$\{", lambda m: "\\" * ((len(m[1]) - 1) // 2) + "${", quoted)


def meant(word: str) -> str | None:
    """Return the spelling of what a ``key=value`` that Hydra cannot read was probably meant to say, or None.

    A value in brackets is taken for a list of texts, any other one for a text.
    """
    key, equals, value = word.partition("=")
    if not equals or not _PREFIXED_KEY.fullmatch(key):
        return None
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        return override(key, [_scalar(item.strip()) for item in _items(text[1:-1])])
    return None if text.startswith(("[", "{")) else override(key, _scalar(text))


def _items(text: str) -> list[str]:
    """Split at the commas that stand outside of quotes around a whole item."""
    found = re.findall(
        r"\s*('(?:\\.|[^'\\])*'(?=\s*(?:,|$))|\"(?:\\.|[^\"\\])*\"(?=\s*(?:,|$))|[^,]*)(?:,|$)", text
    )
    return found[:-1] if len(found) > 1 and not found[-1] else [item for item in found if item]


def _scalar(text: str) -> Any:
    """Return the number or word that a text spells in Hydra's grammar, else the text without its quotes."""
    if text.lower() in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[text.lower()]
    for kind in (int, float):
        if re.fullmatch(r"[+-]?[0-9][0-9.]*([eE][+-]?[0-9]+)?", text, re.ASCII):
            try:
                return kind(text)
            except ValueError:
                continue
    return unquoted(text)


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else {math.inf: "inf", -math.inf: "-inf"}.get(value, "nan")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_name(key)}:{_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_value, value)) + "]"
    raise ConfigError(f"{value!r} cannot be written as a value on a command line.")


def _text(text: str) -> str:
    if text == "???":
        raise ConfigError("the text '???' stands for a missing value and cannot be given.")
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", literal)
    return f"'{escaped}" + "\\" * (len(escaped) - len(escaped.rstrip("\\"))) + "'"


def _name(key: Any) -> str:
    if not isinstance(key, str) or not _NAME.fullmatch(key) or key.lower() in _WORDS:
        raise ConfigError(f"{key!r} cannot be written as a key on a command line; write it in a YAML file.")
    return key


def _shell_word(word: str) -> str:
    if _BARE.fullmatch(word):
        return word
    if STEERING.search(word):
        return "$'" + "".join(map(_escaped, word)) + "'"
    if "'" not in word:
        return f"'{word}'"
    if not re.search(r"[\"$`!\n]|\\(?!')", word):  # easier to read than '"'"'
        return f'"{word}"'
    return "'" + word.replace("'", "'\"'\"'") + "'"


def _escaped(character: str) -> str:
    r"""Return a character within ``$'...'``, which bash, zsh and ksh read."""
    code = ord(character)
    if character in "\\'":
        return f"\\{character}"
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character == "\n" or STEERING.fullmatch(character):
        return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
    return character
