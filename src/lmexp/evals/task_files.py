"""Tasks declared in YAML over JSON Lines: one YAML file a task, its rows beside it.

    name: colours
    kind: cloze                            # or multiple_choice, minimal_pairs, exact_match
    data: colours.jsonl
    prompt: "Question: {question}\\nAnswer:"
    choices: options                       # the key of a list, or a list of templates
    gold: answer                           # the key of a position (from 0), or of the right choice's text

docs/add-a-task.md describes every key. All of it is checked when it is loaded, each row too, so that a
mistake costs no training: an error names the file, the line, the key and the nearest valid name. A file
is read with yaml's safe loader, its templates name keys and nothing else (`lmexp.evals.templates`), and
its data lie in its own folder: a task file that somebody else wrote can neither run code nor read other
files.
"""

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmexp.core.files import parse_json
from lmexp.errors import DataError, nearest
from lmexp.evals.items import ExactMatch, Item, Task
from lmexp.evals.task_keys import TaskKeys
from lmexp.evals.templates import Template, as_text, lookup

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPTION = " {letter}. {choice}\n"


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """A task file as it was read and checked; `task` makes items of its rows."""

    path: Path
    name: str
    kind: str
    data: Path
    fewshot_data: Path | None
    prompt: Template
    choices: str | tuple[Template, ...]
    """The key of a list, or a template for each choice; of minimal pairs the first one is right."""
    gold: str | None
    option: Template
    continuation: Template
    delimiter: str
    group: str | None
    id: str | None
    description: str
    separator: str
    licence: str
    exact_match: ExactMatch | None

    def task(self, *, limit: int | None, seed: int) -> Task:
        """Return the task with up to `limit` of its items, drawn by `seed`, in the order of the file.

        Examples are all rows of fewshot_data, or else of data, whatever the limit.
        Errors: `DataError` naming the file, the line and the key of a row that cannot be used.
        """
        items = self._items(self.data, self.name)
        examples = items
        if self.fewshot_data is not None:
            examples = self._items(self.fewshot_data, f"{self.name}:fewshot")
        if limit is not None and limit < len(items):
            rng = random.Random(f"{seed}-{self.name}")  # noqa: S311 (reproducible, not secret)
            items = [items[i] for i in sorted(rng.sample(range(len(items)), limit))]
        return Task(
            name=self.name,
            kind=self.kind,
            items=tuple(items),
            examples=tuple(examples),
            description=self.description,
            separator=self.separator,
            licence=self.licence,
            exact_match=self.exact_match,
        )

    def content(self, hash_file: Callable[[Path], str]) -> dict[str, str]:
        """Return the sha256 of the task file and of its data, by what each is for."""
        files = {"task": self.path, "data": self.data, "fewshot_data": self.fewshot_data}
        return {key: hash_file(path) for key, path in files.items() if path is not None}

    def _items(self, path: Path, prefix: str) -> list[Item]:
        items: list[Item] = []
        lines: dict[str, int] = {}
        for number, row in _rows(path):
            place = f"{path}, line {number}"
            item = self._item(row, prefix, number, place)
            if item.id in lines:
                raise DataError(f"{place}: the id {item.id!r} is that of line {lines[item.id]}, too.")
            lines[item.id] = number
            items.append(item)
        if not items:
            raise DataError(f"{path} has no rows; write one JSON object a line.")
        return items

    def _item(self, row: Mapping[str, Any], prefix: str, number: int, place: str) -> Item:
        name = str(number)
        if self.id is not None:
            name = as_text(lookup(row, self.id, place), f"{place}, key {self.id!r}")
        group = ""
        if self.group is not None:
            group = as_text(lookup(row, self.group, place), f"{place}, key {self.group!r}")
        texts = self._choices(row, place)
        gold = 0 if self.gold is None else _gold(lookup(row, self.gold, place), texts, self.gold, place)
        if self.kind == "multiple_choice":
            options = [
                self.option.render({**row, "letter": letter, "choice": text}, place)
                for letter, text in zip(_LETTERS, texts, strict=False)
            ]
            prompt = self.prompt.render({**row, "options": "".join(options)}, place)
            shown = list(_LETTERS[: len(texts)])
        else:
            prompt = self.prompt.render(row, place)
            shown = [self.continuation.render({**row, "choice": text}, place) for text in texts]
        if self.exact_match is None and not self.delimiter:
            _refuse_unscored(prompt, shown, place)
        if self.kind == "minimal_pairs" and random.Random(f"{prefix}:{name}").random() < 0.5:  # noqa: S311
            shown, gold = shown[::-1], 1  # so that equal scores, which give the first, favour neither
        return Item(f"{prefix}:{name}", prompt, tuple(self.delimiter + text for text in shown), gold, group)

    def _choices(self, row: Mapping[str, Any], place: str) -> list[str]:
        if isinstance(self.choices, str):
            values = lookup(row, self.choices, place)
            where = f"{place}, key {self.choices!r}"
            if not isinstance(values, list):
                raise DataError(f"{where} must be a list of choices, was {type(values).__name__}.")
            texts = [as_text(value, f"{where}, choice {i}") for i, value in enumerate(values)]
        else:
            where = place
            texts = [template.render(row, place) for template in self.choices]
        if self.exact_match is not None:
            return texts
        if len(texts) < 2:
            raise DataError(f"{where} must be at least 2 choices, was {len(texts)}.")
        if self.kind == "multiple_choice" and len(texts) > len(_LETTERS):
            raise DataError(f"{where} must be at most {len(_LETTERS)} choices, was {len(texts)}.")
        for i, text in enumerate(texts):
            if text in texts[:i]:
                raise DataError(f"{where}: the choices {texts.index(text)} and {i} are equal ({text!r}).")
        return texts


def read_task_file(path: Path) -> TaskFile:
    """Read and check a task file, but not its rows.

    Errors: `DataError` naming the file, the line, the key and the nearest valid name.
    """
    keys = TaskKeys.read(path)
    kind = keys.kind()
    name = keys.text("name")
    if not _NAME.fullmatch(name):
        raise keys.error("name", "must be letters, digits and _, beginning with a letter")
    prompt = keys.template("prompt")
    if kind == "multiple_choice" and "options" not in prompt.names:
        raise keys.error("prompt", "must hold {options}, where the lettered choices stand")
    continuation = keys.template("continuation", "{choice}")
    if "choice" not in continuation.names:
        raise keys.error("continuation", "must hold {choice}, or else all choices are scored as one text")
    return TaskFile(
        path=path,
        name=name,
        kind=kind,
        data=keys.file("data"),
        fewshot_data=keys.file("fewshot_data") if keys.has("fewshot_data") else None,
        prompt=prompt,
        choices=(keys.template("answer"),) if kind == "exact_match" else keys.choices(kind),
        gold=keys.text("gold") if keys.has("gold") else None,
        option=keys.template("option", _OPTION),
        continuation=continuation,
        delimiter=keys.text("delimiter", "" if kind == "minimal_pairs" else " "),
        group=keys.text("group") if keys.has("group") else None,
        id=keys.text("id") if keys.has("id") else None,
        description=keys.text("description"),
        separator=keys.text("separator", "\n\n"),
        licence=keys.text("licence"),
        exact_match=keys.exact_match() if kind == "exact_match" else None,
    )


def _refuse_unscored(prompt: str, texts: list[str], place: str) -> None:
    """Refuse an empty text that gets nothing of the prompt either: only white space at its end moves over."""
    if "" in texts and prompt == prompt.rstrip():
        raise DataError(
            f"{place}: the choice {texts.index('')} is empty, so that nothing of it would be scored; give it "
            f"a text, or the task a delimiter."
        )


def _gold(value: Any, texts: list[str], key: str, place: str) -> int:
    """Return the position that `value` gives, as a number or as the text of a choice."""
    if isinstance(value, str) and value in texts:
        return texts.index(value)
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if type(value) is int and 0 <= value < len(texts):
        if str(value) in texts and texts[value] != str(value):
            raise DataError(
                f"{place}, key {key!r}: {value} is a position, and also the text of choice "
                f"{texts.index(str(value))}; write the text in quotes, or choices that are no numbers."
            )
        return value
    hint = nearest(value, texts) if isinstance(value, str) else ""
    raise DataError(
        f"{place}, key {key!r} must be a position from 0 to {len(texts) - 1} or the text of a choice, "
        f"was {value!r}{hint}."
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSON Lines file; empty lines are passed over."""
    with path.open("rb") as file:
        for number, data in enumerate(file, start=1):
            place = f"{path}, line {number}"
            try:
                line = data.decode().strip().removeprefix("\ufeff")
                row = parse_json(line) if line else None
            except UnicodeDecodeError as error:
                raise DataError(f"{place} is not UTF-8 at byte {error.start}.") from None
            except ValueError as error:
                reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise DataError(f"{place} is not JSON: {reason}.") from None
            if not line:
                continue
            if not isinstance(row, dict):
                raise DataError(f"{place} must be a JSON object, was {line[:40]!r}.")
            yield number, row
