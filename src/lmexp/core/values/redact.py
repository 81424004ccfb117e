"""Secrets kept out of records and pages: by the name of a key, and by the shape of a value.

Nothing in lmexp asks for a secret on the command line (wandb reads its key from the environment, which
is never recorded), but a person may still give one: in a URL, or as a key of their own pipeline. A
configuration is recorded as it is, so one that holds a secret is refused; what else is written down (a
command, a message) is redacted.
"""

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from lmexp.errors import ConfigError

HIDDEN = "***"
_KEYS_AND_PASSWORDS = ("api_key", "access_key", "secret", "secret_key", "password", "passwd", "credentials")
_SECRETS = (*_KEYS_AND_PASSWORDS, "token", "authorization", "cookie")
_MARKERS = ("bos_token", "eos_token", "pad_token", "unk_token", "mask_token", "sep_token", "cls_token")
_REFUSED = (*_KEYS_AND_PASSWORDS, "access_token", "api_token", "auth_token", "authorization")
"""Of the names, those that stand for nothing else: a token may also be a word of the vocabulary."""
_WELL_KNOWN = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^-]*-----END [A-Z ]*PRIVATE KEY-----)?"
    r"|\b(?:(?:hf_|gh[opsur]_|github_pat_|glpat-|wandb_v1_|xox[abeprs]-|npm_|pypi-|AKIA|ASIA|AIza)[\w-]{12,}"
    r"|sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)",
    re.ASCII,
)
_NOT_AN_ADDRESS = r"(?![\w.-]*\.[\w.-]*:\d{1,5}/|localhost:\d{1,5}/|\[[0-9a-fA-F:]+\]:\d{1,5}/)"
_USERINFO = (
    # a password may hold what ends an authority: then it reaches to the word's last @
    re.compile(rf"(?<=://){_NOT_AN_ADDRESS}[^\s/:@'\"]*:[^\s'\"]+(?=@)"),
    re.compile(r"(?<=://)[^\s/?#'\"]+(?=@)"),
)
_BARE_USERINFO = re.compile(
    r"(?<![\w./:@-])([A-Za-z_][\w.+-]*:)(?!//)[^\s:@'\"\\]+(?=@[\w-]+(?:\.[\w-]+)*(?:[:/\s'\"]|$))"
)
_NAMES = r"token|signature|\bsig|secret|password|passwd|pwd|credential|(?:api|access|secret|private)_?key"
_NAMED = rf"[\w.-]*(?:{_NAMES})"
_PARAMETER = re.compile(rf"(?i)([?&#;]{_NAMED}=)[^&#;\s'\"]+")
_ANY_KEY = re.compile(r"(?i)([?&#;][\w.-]*key=)[^&#;\s'\"]+")
_HEADER = re.compile(r"(?i)(\b(?:bearer|basic|digest)\s+)[A-Za-z0-9._~+/=-]{6,}")
_NAMED_HEADER = re.compile(
    r"(?i)(\b(?:(?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token))\s*:\s*)[^\s'\"*][^'\"\n]*"
)
_ASSIGNED = re.compile(
    r"(?i)(\b(?:[\w-]+[_-])?(?:password|passwd|api[_-]?key|secret|secret[_-]key|access[_-]key|access[_-]token"
    r"|auth[_-]token|private[_-]key)(?:=|['\"]\s*[:=]\s*)['\"]?)[^\s'\",}&]+"
)
_ENCODED = re.compile(r"[^\s'\"]*(?:%[0-9a-fA-F]{2}|\\/|\\u00[0-9a-fA-F]{2})[^\s'\"]*")
_PASSWORDS = (
    re.compile(r"://[^\s/?#@:'\"]*:[^\s/?#'\"]+@"),
    re.compile(rf"://{_NOT_AN_ADDRESS}[^\s/:@'\"]*:[^\s'\"]+@"),
)
_WHOLE_BARE = re.compile(r"^[A-Za-z_][\w.+-]*:(?!//)[^\s:@\\]+@[\w-]+(?:\.[\w-]+)*(?:[:/]\S*)?$")
"""Shapes that a configuration is refused for, too: a name without a password is no secret."""
_NESTED = 4
"""Encodings within encodings that are looked through."""


def is_secret_key(key: str) -> bool:
    """Whether a dotted key names a secret: its last part is a password, a token, an API key or the like."""
    last = key.rpartition(".")[2].lower().replace("-", "_")
    named = any(last == name or last.endswith(f"_{name}") for name in _SECRETS)
    return named and last not in _MARKERS


def refuse_secrets(values: Any, key: str = "") -> None:
    """Raise `ConfigError` where nested plain values hold a password, a key or a token for a service."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            refuse_secrets(value, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list | tuple):
        for value in values:
            refuse_secrets(value, key)
    elif isinstance(values, str) and values:
        last = key.rpartition(".")[2].lower().replace("-", "_")
        named = any(last == name or last.endswith(f"_{name}") for name in _REFUSED)
        if named or _holds_secret(values):
            raise ConfigError(
                f"{key} holds a secret, and configurations are recorded: let the stage read it from an "
                f"environment variable."
            )


def _holds_secret(value: str) -> bool:
    """Whether a value of a configuration holds a key or a password, by its shape."""
    shapes = (*_PASSWORDS, _PARAMETER, _WELL_KNOWN, _WHOLE_BARE)
    return any(shape.search(text) for shape in shapes for text in _decoded(value))


def _decoded(text: str) -> list[str]:
    """Return the text, and what it stands for where characters of it are escaped, as often as they are."""
    found = [text]
    for _ in range(_NESTED):
        plain = urllib.parse.unquote(found[-1], errors="replace").replace("\\/", "/")
        plain = re.sub(r"\\u00([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), plain)
        if plain == found[-1]:
            break
        found.append(plain)
    return found


def redact(text: str) -> str:
    """Return `text` with credentials in addresses, headers and assignments, and well-known keys, as ``***``.

    A word in which they are escaped, once or several times, is shown as what it stands for.
    """
    return _redact_plain(_ENCODED.sub(_redact_encoded, text))


def _redact_encoded(word: re.Match[str]) -> str:
    for plain in _decoded(word[0])[1:]:
        hidden = _redact_plain(plain)
        if hidden != plain:
            return hidden
    return word[0]


def _redact_plain(text: str) -> str:
    for shape in _USERINFO:
        text = shape.sub(HIDDEN, text)
    for shape in (_BARE_USERINFO, _PARAMETER, _ANY_KEY, _NAMED_HEADER, _HEADER, _ASSIGNED):
        text = shape.sub(rf"\1{HIDDEN}", text)
    return _WELL_KNOWN.sub(HIDDEN, text)


def redact_words(words: Sequence[str]) -> list[str]:
    """Return a command's words; the value of a ``key=value`` whose key names a secret is hidden."""
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        hide = equals and value and is_secret_key(key.lstrip("+~-"))
        found.append(f"{key}={HIDDEN}" if hide else redact(word))
    return found


def redact_values(values: Any, key: str = "") -> Any:
    """Return nested plain values with every secret hidden."""
    if isinstance(values, Mapping):
        return {
            redact(name) if isinstance(name, str) else name: redact_values(value, str(name))
            for name, value in values.items()
        }
    if isinstance(values, list | tuple):
        return [redact_values(value, key) for value in values]
    if values is not None and values != "" and is_secret_key(key):
        return HIDDEN
    return redact(values) if isinstance(values, str) else values
