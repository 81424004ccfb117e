"""What a tokenizer's structure is, and what holds of it whatever its kind.

- the ids are 0 to V - 1, each of one token;
- no truncation and no padding: all of a text is encoded, and nothing else;
- an added token stands for its own characters and takes none beside it (`lstrip`, `rstrip`,
  `single_word`); without a normalizer `normalized` means nothing;
- the post-processor adds nothing, or one start token before the text, which is then part of every prompt.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from lmexp.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What the tokens of a tokenizer stand for. Shapes: V ids."""

    contents: list[bytes]
    """[V] what each id stands for; nothing for a special token."""

    joiner: bytes
    """What stands between two tokens in a text: nothing, or a space."""

    glued: frozenset[int] = frozenset()
    """Ids before which no joiner stands: pieces that go on with a word."""

    is_lossless: bool
    """Whether every text is what its tokens stand for."""

    start_token_id: int | None
    """The token that is put before every text; None where there is none."""


def check_ids(tokens: Iterable[tuple[str, int]], where: str) -> None:
    """Raise `DataError` unless the ids of all `tokens` are 0 to V - 1, each of one token."""
    owner: dict[int, str] = {}
    for token, i in tokens:
        if owner.setdefault(i, token) != token:
            raise DataError(
                f"{where} gives the id {i} to {owner[i]!r} and to {token!r}; give each token its own id."
            )
    missing = next((i for i in range(len(owner)) if i not in owner), None)
    if missing is not None:
        raise DataError(
            f"{where} has {len(owner)} tokens with ids up to {max(owner)}, and none with the id {missing}; "
            f"the ids must be 0 to {len(owner) - 1}: add a token for each that is left out."
        )


def check_whole(definition: Mapping[str, Any], where: str) -> None:
    """Raise `DataError` for what cuts, fills or rewrites texts."""
    for field in ("truncation", "padding"):
        if definition[field] is not None:
            refuse(where, field, definition[field], "it cuts or fills texts", f"set {field} to null")
    for part in leaves(definition["normalizer"], "normalizers"):
        refuse(
            where, "normalizer", part.get("type"),
            "it changes a text before it is encoded, and figures are of the text itself",
            "set normalizer to null, which is the same tokenizer for texts that it would not change",
        )  # fmt: skip


def check_alone(definition: Mapping[str, Any], where: str) -> None:
    """Raise `DataError` for an added token that takes what stands beside it."""
    for token in definition["added_tokens"]:
        for field in ("lstrip", "rstrip", "single_word"):
            if token[field]:
                refuse(
                    where, f"{field} of the added token {token['content']!r}", True,
                    "where it stands would depend on the white space or letters beside it",
                    f"set its {field} to false",
                )  # fmt: skip


def start_token(definition: Mapping[str, Any], where: str) -> int | None:
    """Return the id that the post-processor puts before a text; None where it adds nothing."""
    special = {token["id"] for token in definition["added_tokens"] if token["special"]}
    start = None
    for part in leaves(definition["post_processor"], "processors"):
        if part.get("type") == "ByteLevel":
            continue  # it moves offsets, not tokens
        if part.get("type") != "TemplateProcessing":
            refuse(
                where, "post_processor.type", part.get("type"),
                "it adds tokens that lmexp does not know", "set post_processor to null",
            )  # fmt: skip
        *names, last = [piece.get("SpecialToken", {}).get("id") for piece in part["single"]] or [""]
        if last is not None or None in names or len(names) + (start is not None) > 1:  # None is the text
            pieces = ["the text" if name is None else name for name in (*names, last)]
            refuse(
                where, "post_processor.single", pieces,
                "it is more than one start token and the text", "set post_processor to null, or leave these",
            )  # fmt: skip
        for name in names:
            ids = part["special_tokens"][name]["ids"]
            if len(ids) != 1 or ids[0] not in special:
                refuse(
                    where, f"post_processor.special_tokens[{name!r}].ids", ids,
                    "they are not the id of one special token of added_tokens", "make it so",
                )  # fmt: skip
            start = int(ids[0])
    return start


def leaves(part: Mapping[str, Any] | None, plural: str) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a part that may be a sequence of parts, or nothing."""
    if part is None:
        return
    if part.get("type") != "Sequence":
        yield part
        return
    for inner in part[plural]:
        yield from leaves(inner, plural)


def refuse(where: str, field: str, value: Any, why: str, remedy: str) -> NoReturn:
    """Raise `DataError` for a field that breaks a promise."""
    raise DataError(f"{where} has {field} {_short(value)}: {why}; {remedy}.")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
