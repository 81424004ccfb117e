"""Lists of candidates in a file, the members of which a model ranks: n-best lists to be rescored.

A ``.jsonl`` file has one list a line, either an array of texts or an object:

    {"candidates": ["a pear", "a pair"], "prompt": "She ate"}

`prompt`, what stands before each of them, may be left out; other keys are kept as they are. Any other file
has one candidate a line, and an empty line between two lists.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmexp.core.values.files import parse_json
from lmexp.errors import DataError, nearest


@dataclass(frozen=True)
class Candidates:
    """Texts of which one is meant."""

    texts: tuple[str, ...]
    prompt: str | None = None
    """What stands before each; None where the list does not say."""
    more: dict[str, Any] = field(default_factory=dict)
    """Other keys of its line."""


def read_candidates(path: Path) -> list[Candidates]:
    """Return the lists of a file, in order.

    Errors: `DataError` for a file that is missing, not UTF-8 or without lists, and for a line that is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        near = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        raise DataError(
            f"{path} cannot be read ({error.strerror}){nearest(path.name, near)}; give a file of candidates."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}; write it as UTF-8.") from None
    lines = text.removeprefix("\ufeff").split("\n")
    found = _of_objects(path, lines) if path.suffix == ".jsonl" else _of_paragraphs(lines)
    if not found:
        raise DataError(f"{path} holds no list; write one candidate a line, and an empty line between lists.")
    return found


def _of_paragraphs(lines: list[str]) -> list[Candidates]:
    found, texts = [], []
    for line in [*(line.removesuffix("\r") for line in lines), ""]:
        if line.strip():
            texts.append(line)
        elif texts:
            found.append(Candidates(tuple(texts)))
            texts = []
    return found


def _of_objects(path: Path, lines: list[str]) -> list[Candidates]:
    return [_of_line(f"{path}:{i}", line) for i, line in enumerate(lines, start=1) if line.strip()]


def _of_line(where: str, line: str) -> Candidates:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise DataError(f"{where} is not JSON ({error}); write one list a line.") from None
    if isinstance(value, list):
        value = {"candidates": value}
    if not isinstance(value, dict) or "candidates" not in value:
        near = nearest("candidates", value) if isinstance(value, dict) else ""
        raise DataError(f'{where} has no key "candidates"{near}; write {{"candidates": [TEXT, ...]}}.')
    more = dict(value)
    texts, prompt = more.pop("candidates"), more.pop("prompt", None)
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: candidates must be a list of texts, at least one, was {str(texts)[:80]}.")
    if prompt is not None and not isinstance(prompt, str):
        raise DataError(f"{where}: prompt must be a text, was {prompt!r:.80}.")
    return Candidates(tuple(texts), prompt, more)
