"""Secrets kept out of records and pages: by the name of a key, and by the shape of a value.

Nothing in lmexp asks for a secret on the command line (wandb reads its key from the environment, which
is never recorded), but a person may still give one: in a URL, or as a key of their own pipeline. A
configuration is recorded as it is, so one that holds a secret is refused; what else is written down (a
command, a message) is redacted.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lmexp.errors import ConfigError

HIDDEN = "***"
_KEYS_AND_PASSWORDS = ("api_key", "access_key", "secret", "secret_key", "password", "passwd", "credentials")
_SECRETS = (*_KEYS_AND_PASSWORDS, "token")
_MARKERS = ("bos_token", "eos_token", "pad_token", "unk_token", "mask_token", "sep_token", "cls_token")
_REFUSED = (*_KEYS_AND_PASSWORDS, "access_token", "api_token", "auth_token")
"""Of the names, those that stand for nothing else: a token may also be a word of the vocabulary."""
_WELL_KNOWN = re.compile(
    r"\b(?:(?:hf_|ghp_|github_pat_|wandb_v1_|xox[bp]-|AKIA)[\w-]{12,}|sk-(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{16,})",
    re.ASCII,
)
_PASSWORD = re.compile(r"://[^/\s@:]*:[^/\s@]+@")
_SHAPES = (
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), HIDDEN),
    (re.compile(r"(?i)([?&][a-z_-]*(?:token|key|signature|secret|password)=)[^&#\s'\"]+"), rf"\1{HIDDEN}"),
    (_WELL_KNOWN, HIDDEN),
    (re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{HIDDEN}"),
)


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
        if named or _WELL_KNOWN.search(values) or _PASSWORD.search(values):
            raise ConfigError(
                f"{key} holds a secret, and configurations are recorded: let the stage read it from an "
                f"environment variable."
            )


def redact(text: str) -> str:
    """Return `text` with credentials in URLs and well-known kinds of keys replaced by ``***``."""
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


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
        return {name: redact_values(value, str(name)) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [redact_values(value, key) for value in values]
    if values is not None and values != "" and is_secret_key(key):
        return HIDDEN
    return redact(values) if isinstance(values, str) else values
