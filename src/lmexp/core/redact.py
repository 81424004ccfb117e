"""Secrets kept out of records and pages: by the name of a key, and by the shape of a value.

Nothing in lmexp asks for a secret on the command line (wandb reads its key from the environment, which
is never recorded), but a person may still give one: in a URL, or as a key of their own pipeline.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
_SECRETS = ("api_key", "access_key", "secret", "secret_key", "password", "passwd", "credentials", "token")
_MARKERS = ("bos_token", "eos_token", "pad_token", "unk_token", "mask_token", "sep_token", "cls_token")
_SHAPES = (
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), HIDDEN),
    (re.compile(r"(?i)([?&][a-z_-]*(?:token|key|signature|secret|password)=)[^&#\s'\"]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:hf_|ghp_|github_pat_|sk-|wandb_v1_|xox[bp]-|AKIA)[A-Za-z0-9_-]{12,}"), HIDDEN),
    (re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{HIDDEN}"),
)


def is_secret_key(key: str) -> bool:
    """Whether a dotted key names a secret: its last part is a password, a token, an API key or the like."""
    last = key.rpartition(".")[2].lower().replace("-", "_")
    named = any(last == name or last.endswith(f"_{name}") for name in _SECRETS)
    return named and last not in _MARKERS


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
