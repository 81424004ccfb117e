"""Which special tokens end and begin a text, by what tokenizer_config.json says.

`eos_token` ends a document and `bos_token` begins one; where they are not named, ``<|endoftext|>`` ends
it, and what ends it begins it. A start token that the post-processor puts before every text is the one
that begins it. Other roles belong to special tokens of tokenizer.json alone, and may be nobody's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmexp.errors import DataError

END_OF_TEXT = "<|endoftext|>"
"""The token that ends a document, and begins one, where nothing else is said."""

UNKNOWN = "<unk>"
"""The token of what has none, where lmexp makes the vocabulary."""

OPTIONAL = ("pad", "unk", "mask", "cls", "sep", "user", "assistant")
"""Roles that a tokenizer may lack; tokenizer_config.json names their tokens as `pad_token` and so on."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Ids of special tokens by what they are for."""

    eos_token_id: int
    """Ends a text."""

    bos_token_id: int
    """Stands before the first token of a document."""

    starts_every_text: bool
    """Whether `bos_token_id` stands before the first token of any text, a prompt too."""

    pad_token_id: int | None = None
    """Fills a batch."""

    unk_token_id: int | None = None
    """Stands for a piece of text that has no token."""

    mask_token_id: int | None = None
    """Stands where a token is hidden."""

    cls_token_id: int | None = None
    """Stands before what is read as a whole."""

    sep_token_id: int | None = None
    """Stands between two texts that are read together."""

    user_token_id: int | None = None
    """Begins what a user says."""

    assistant_token_id: int | None = None
    """Begins what a model answers."""


def roles_of(
    config: Mapping[str, Any], special: Mapping[str, int], start_token_id: int | None, where: str
) -> Roles:
    """Return the roles of `special` tokens, the ids of which are given by name.

    `config` is what tokenizer_config.json holds, `start_token_id` what the post-processor puts first.
    Errors: `DataError` where no token ends a text, or the two files do not agree.
    """
    if config.get("add_eos_token"):
        raise DataError(
            f"{where}: tokenizer_config.json has add_eos_token {config['add_eos_token']!r}: it ends a prompt "
            f"before it is continued; set it to false."
        )
    if config.get("add_prefix_space"):
        raise DataError(
            f"{where}: tokenizer_config.json has add_prefix_space {config['add_prefix_space']!r}: it adds a "
            f"space that the text does not have; set it to false."
        )
    starts = config.get("add_bos_token")
    if starts is not None and bool(starts) != (start_token_id is not None):
        raise DataError(
            f"{where}: tokenizer_config.json has add_bos_token {starts!r}, but the post_processor of "
            f"tokenizer.json puts {'no' if starts else 'a'} token first; make the two agree."
        )
    eos_token_id = _id_of("eos_token", config, special, where)
    bos_token_id = _id_of("bos_token", config, special, where)
    if eos_token_id is None:
        eos_token_id = special.get(END_OF_TEXT)
    if eos_token_id is None:
        raise DataError(
            f"{where} has no special token {END_OF_TEXT!r}; name another one that ends a text as "
            f"eos_token in tokenizer_config.json."
        )
    if bos_token_id is None:
        bos_token_id = eos_token_id
    return Roles(
        eos_token_id=eos_token_id,
        bos_token_id=bos_token_id if start_token_id is None else start_token_id,
        starts_every_text=start_token_id is not None,
        **{f"{role}_token_id": _optional(f"{role}_token", config, special) for role in OPTIONAL},
    )


def _optional(role: str, config: Mapping[str, Any], special: Mapping[str, int]) -> int | None:
    """Return the id of the special token that has a role, None where it is nobody's."""
    name = _name_of(role, config)
    return special.get(name) if isinstance(name, str) else None


def _name_of(role: str, config: Mapping[str, Any]) -> Any:
    """Return the name of the token that has a role, None where there is none; it may be no text."""
    named = config.get(role)
    return named.get("content") if isinstance(named, Mapping) else named


def _id_of(role: str, config: Mapping[str, Any], special: Mapping[str, int], where: str) -> int | None:
    """Return the id of the token that has a role, None where no token is named."""
    name = _name_of(role, config)
    if name is None:
        return None
    if not isinstance(name, str) or name not in special:
        raise DataError(
            f"{where}: tokenizer_config.json has {role} {str(name)[:80]!r}, which is no special token of "
            f"tokenizer.json; name one that is."
        )
    return special[name]
