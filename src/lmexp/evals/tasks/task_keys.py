"""The keys of a task file: YAML read safely, and each key checked for what it must be.

Errors name the file, the line and the key, and for an unknown one the nearest that is known.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmexp.errors import DataError, nearest
from lmexp.evals.tasks.items import ExactMatch
from lmexp.evals.tasks.templates import Template

_COMMON = (
    *("name", "kind", "data", "fewshot_data", "where", "on_bad_row", "last_word", "description", "separator"),
    *("group", "id", "licence", "prompt", "delimiter"),
)
_CHOICES = ("choices", "equal_choices")
_GOLD = ("gold", "gold_is", "gold_data")
KEYS: dict[str, tuple[str, ...]] = {
    "multiple_choice": (*_COMMON, *_CHOICES, *_GOLD, "option"),
    "cloze": (*_COMMON, *_CHOICES, *_GOLD, "continuation", "scored"),
    "minimal_pairs": (*_COMMON, *_CHOICES),
    "exact_match": (
        *(*_COMMON, "answer", "aliases"),
        *("until", "max_new_tokens", "ignore_case", "ignore_punctuation"),
    ),
}
"""Keys of a file of each kind."""

_REQUIRED: dict[str, tuple[str, ...]] = {
    "multiple_choice": ("name", "data", "prompt", "choices"),
    "cloze": ("name", "data", "prompt", "choices"),
    "minimal_pairs": ("name", "data", "choices"),
    "exact_match": ("name", "data", "prompt", "answer"),
}


class TaskKeys:
    """The keys of a task file, each read as what it must be."""

    def __init__(self, path: Path, values: Mapping[str, Any], lines: Mapping[str, int]) -> None:
        self._path = path
        self._values = values
        self._lines = lines

    @classmethod
    def read(cls, path: Path) -> "TaskKeys":
        """Read a YAML file. Errors: `DataError` where it is none, or has a key twice."""
        return cls(path, *_mapping(path))

    def has(self, key: str) -> bool:
        """Return whether the file has `key`."""
        return key in self._values

    def error(self, key: str, must: str, hint: str = "") -> DataError:
        """Return the error that says where `key` stands and what it was."""
        if key not in self._values:
            return DataError(f"{self._path}: {key} {must}; it is not there.")
        return DataError(f"{self.place(key)} {must}, was {self._values[key]!r}{hint}.")

    def kind(self) -> str:
        """Return the kind, once the keys are known to be those of a file of that kind."""
        kind = self._values.get("kind")
        if not isinstance(kind, str) or kind not in KEYS:
            raise self.error("kind", f"must be one of {', '.join(KEYS)}", nearest(str(kind), KEYS))
        for key, line in self._lines.items():
            if key not in KEYS[kind]:
                raise DataError(
                    f"{self._path}, line {line}: {key!r} is not a key of the kind {kind}"
                    f"{nearest(key, KEYS[kind])}; its keys are {', '.join(KEYS[kind])}."
                )
        for key in _REQUIRED[kind]:
            if key not in self._values:
                raise DataError(f"{self._path} has no {key}, which the kind {kind} needs.")
        if "gold" in KEYS[kind] and self.has("gold") == self.has("gold_data"):
            how = (
                "has gold and gold_data; keep one"
                if self.has("gold")
                else f"has no gold, which the kind {kind} needs"
            )
            raise DataError(f"{self._path} {how}.")
        return str(kind)

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        value = self._values.get(key, default)
        if not isinstance(value, str):
            raise self.error(key, "must be text (put it in quotes)")
        return value

    def optional(self, key: str) -> str | None:
        """Return a text, or None where the key is left out."""
        return self.text(key) if self.has(key) else None

    def one_of(self, key: str, choices: Sequence[str]) -> str | None:
        """Return one of the words `choices`, or None where the key is left out."""
        value = self.optional(key)
        if value is not None and value not in choices:
            raise self.error(key, f"must be one of {', '.join(choices)}", nearest(value, choices))
        return value

    def where(self) -> dict[str, Any]:
        """Return the values that rows must have to be taken, by key."""
        found = self._values.get("where", {})
        if not isinstance(found, dict) or not all(
            isinstance(key, str) and isinstance(value, str | int | float) for key, value in found.items()
        ):
            raise self.error("where", "must be keys of a row with the value that each must have")
        return found

    def place(self, key: str) -> str:
        """Return where a key stands: the file, the line and the key."""
        return f"{self._path}, line {self._lines[key]}, {key}" if self.has(key) else str(self._path)

    def template(self, key: str, default: str = "") -> Template:
        """Return a text with names to fill in."""
        return Template(self.text(key, default), self.place(key))

    def file(self, key: str) -> Path:
        """Return a file of the folder that the task file lies in, and of no other folder."""
        folder, name = self._path.parent, self.text(key)
        found = folder / name
        is_named = name != "" and "\0" not in name and not os.path.isabs(name)
        if not is_named or not found.resolve().is_relative_to(folder.resolve()):
            raise self.error(key, "must be a file in the task file's own folder")
        if not found.is_file():
            others = [other.name for other in folder.iterdir()]
            raise DataError(f"{self.place(key)}: there is no file {str(found)!r}{nearest(name, others)}.")
        return found

    def choices(self, kind: str) -> str | tuple[Template, ...]:
        """Return the key of a list, or a template for each choice."""
        choices = self._values["choices"]
        if isinstance(choices, str) and kind != "minimal_pairs":
            return choices
        if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
            raise self.error("choices", "must be the key of a list, or a list of templates")
        if kind == "minimal_pairs" and len(choices) != 2:
            raise self.error("choices", "must be two templates, the right one first")
        if len(choices) < 2:
            raise self.error("choices", "must be at least two templates")
        return tuple(Template(choice, f"{self.place('choices')}[{i}]") for i, choice in enumerate(choices))

    def exact_match(self) -> ExactMatch:
        """Return how answers are generated and compared."""
        until = self._values.get("until", ["\n"])
        if not isinstance(until, list) or not all(isinstance(stop, str) and stop for stop in until):
            raise self.error("until", 'must be a list of texts like ["\\n"]')
        most = self._values.get("max_new_tokens", 32)
        if type(most) is not int or most < 1:
            raise self.error("max_new_tokens", "must be an integer of at least 1")
        for key in ("ignore_case", "ignore_punctuation"):
            if not isinstance(self._values.get(key, False), bool):
                raise self.error(key, "must be true or false")
        return ExactMatch(
            until=tuple(until),
            max_new_tokens=most,
            ignore_case=self._values.get("ignore_case", False),
            ignore_punctuation=self._values.get("ignore_punctuation", False),
        )


def _mapping(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the keys of a YAML file with their values, and with the line of each."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
        aliased = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))
    except FileNotFoundError:
        others = [o.name for o in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(
            f"prompts.task_files: there is no file {str(path)!r}{nearest(path.name, others)}."
        ) from None
    except IsADirectoryError:
        raise DataError(f"prompts.task_files: {str(path)!r} is a directory; name its YAML file.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}" if mark is not None else str(path)
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0] or "it nests too deeply"
        raise DataError(f"{place} is not YAML: {problem}.") from None
    if aliased:  # a few of them can stand for more text than memory holds
        raise DataError(f"{path} has an alias (*name); write its value out.")
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DataError(f"{path} must be keys and values, as in `name: colours`.")
    lines: dict[str, int] = {}
    for node, _ in tree.value:
        if node.value in lines:
            line = node.start_mark.line + 1
            raise DataError(f"{path}, line {line}: {node.value!r} stands on line {lines[node.value]}, too.")
        lines[node.value] = node.start_mark.line + 1
    return values, lines
