"""Fingerprints: a stage's result is named by what determines it.

    fingerprint = sha256(canonical(stage name, its version or else its code, identity config,
                                   content of files read, fingerprints of its inputs,
                                   code of the extensions whose kinds the config holds))

The canonical form is JSON with sorted keys, no white space, ASCII only and Python's shortest
round-trip notation for floats. What has no single such form (NaN, sets, objects, keys that are
not text) is refused rather than guessed. The source code of lmexp is never hashed: a stage whose
results change by more than rounding gets a new `version` by hand. Of a user's stage that states no
version the code stands in its place (see `core.reach`).
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

SHORT = 12
"""Characters of a fingerprint that appear in directory names."""


def canonical(value: Any) -> str:
    """Return the one textual form of nested mappings, lists and scalars.

    Errors: `TypeError` or `ValueError` for anything without a deterministic form.
    """
    _refuse(value, "value")
    return _sorted_json(value)


def fingerprint(
    *,
    stage: str,
    version: int | None,
    config: Mapping[str, Any],
    content: Mapping[str, str],
    inputs: Mapping[str, str],
    code: Sequence[str] | None = None,
    extensions: Sequence[str] = (),
) -> str:
    """Return the fingerprint, 64 hexadecimal characters, of one stage's result.

    `code` stands for the user's own code where there is no `version`; one of the two is given.
    `extensions` stands for that of the kinds in the configuration that lmexp does not ship.
    """
    assert (version is None) != (code is None), f"{stage} is identified by its version or by its code"
    identity = {
        "stage": stage,
        **({"version": version} if code is None else {"code": list(code)}),
        "config": dict(config),
        "content": dict(content),
        "inputs": dict(inputs),
        **({"extensions": list(extensions)} if extensions else {}),
    }
    return digest(identity)


def digest(value: Any) -> str:
    """Return the sha256, 64 hexadecimal characters, of the canonical form of `value`."""
    return _sha256(canonical(value))


def digest_of_json(value: Any) -> str:
    """Return `digest` of what was read from JSON: of such, only a number that is not finite has no form.

    It spares the look at each value, which is most of the time that a record takes.
    Errors: `ValueError` for such a number.
    """
    return _sha256(_sorted_json(value))


def _sorted_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _refuse(value: Any, where: str) -> None:
    if value is None or isinstance(value, bool | int | str):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value!r}, which has no canonical form.")
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; only text keys have a canonical form.")
            _refuse(item, f"{where}.{key}")
        return
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse(item, f"{where}[{index}]")
        return
    raise TypeError(f"{where} is a {type(value).__name__}, which has no canonical form.")
