"""From the rows of a task file's data to items.

Rows are read twice over: first each on its own (its names, its choices, what it says of the right one),
then all together, since how a file says which choice is right is decided over all of its rows
(`lmexp.evals.tasks.golds`). A row that cannot be asked stops the whole file with its place, or, where
the task file has ``on_bad_row: drop``, is left out and counted by its reason.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmexp.errors import DataError
from lmexp.evals.tasks.golds import LETTERS, Gold, choose_rule, read_gold
from lmexp.evals.tasks.items import ExactMatch, Item, Task
from lmexp.evals.tasks.task_rows import Row, read_lines_of, read_rows
from lmexp.evals.tasks.templates import Template, as_text, lookup, refuse_unfilled

_NOTHING = "nothing usable under a key"
_EQUAL = "equal choices"


class BadRow(DataError):
    """A row that cannot be asked, with the reason under which it is counted."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Refused(DataError):
    """What the task file refuses in any row, whatever it says of bad ones."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A row on its own: all of its item but which choice is right."""

    place: str
    name: str
    group: str
    row: Row
    texts: list[str]
    gold: Gold | None


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """A task file as it was read and checked; `task` makes items of its rows."""

    path: Path
    name: str
    kind: str
    data: Path
    fewshot_data: Path | None
    gold_data: Path | None
    where: Mapping[str, Any]
    """Values that a row must have to be taken, by key."""
    on_bad_row: str
    """`fail` or `drop`."""
    last_word: str | None
    """The key of a text that is split into {before} and {last_word}."""
    prompt: Template
    choices: str | tuple[Template, ...]
    """The key of a list, or a template for each choice; of minimal pairs the first one is right."""
    equal_choices: str
    """`allow` where both are wrong, `drop` or `refuse`."""
    gold: str | None
    gold_is: str | None
    """A rule of `lmexp.evals.tasks.golds`; None decides over all rows."""
    option: Template
    continuation: Template
    scored: Template | None
    """What follows each choice and is scored in its place."""
    aliases: str | None
    delimiter: str
    group: str | None
    id: str | None
    description: str
    separator: str
    licence: str
    exact_match: ExactMatch | None
    unfilled: Mapping[str, str]
    """Texts that are no templates, by where they stand."""

    def task(self, *, limit: int | None, seed: int) -> Task:
        """Return the task with up to `limit` of its items, drawn by `seed`, in the order of the file.

        Examples are all rows of fewshot_data, or else of data, whatever the limit.
        Errors: `DataError` naming the file, the line and the key of a row that cannot be used.
        """
        dropped: Counter[str] = Counter()
        few_dropped: Counter[str] = Counter()
        drafts = self._drafts(self.data, dropped)
        few = self._drafts(self.fewshot_data, few_dropped) if self.fewshot_data is not None else []
        rule = self._rule([*drafts, *few])
        made = self._items(drafts, self.data, self.name, rule, dropped)
        examples = made
        if self.fewshot_data is not None:
            examples = self._items(few, self.fewshot_data, f"{self.name}:fewshot", rule, few_dropped)
            dropped.update({f"{reason}, in fewshot_data": n for reason, n in few_dropped.items()})
        if limit is not None and limit < len(made):
            rng = random.Random(f"{seed}-{self.name}")  # noqa: S311 (reproducible, not secret)
            made = [made[i] for i in sorted(rng.sample(range(len(made)), limit))]
        return Task(
            name=self.name,
            kind=self.kind,
            items=tuple(item for item, _ in made),
            examples=tuple(item for item, _ in examples),
            description=self.description,
            separator=self.separator,
            licence=self.licence,
            exact_match=self.exact_match,
            dropped=dict(sorted(dropped.items())),
            equal_choices=sum(equal for _, equal in made),
        )

    def content(self, hash_file: Callable[[Path], str]) -> dict[str, str]:
        """Return the sha256 of the task file and of its data, by what each is for."""
        files = {
            "task": self.path,
            "data": self.data,
            "fewshot_data": self.fewshot_data,
            "gold_data": self.gold_data,
        }
        return {key: hash_file(path) for key, path in files.items() if path is not None}

    def _drafts(self, path: Path, dropped: Counter[str]) -> list[_Draft]:
        """Return what the rows of a file say, each on its own."""
        golds = iter(read_lines_of(self.gold_data)) if self.gold_data is not None else None
        found: list[_Draft] = []
        checked = False
        for place, number, row in read_rows(path):
            told = None if golds is None else next(golds, None)
            if golds is not None and told is None:
                raise DataError(f"{self.gold_data} has fewer lines than {path} has rows.")
            if isinstance(row, DataError):
                self._drop(BadRow(str(row), "not a row"), dropped)
                continue
            if not checked:
                self._refuse_constants(row)
                checked = True
            try:
                if self._is_taken(row, place):
                    found.append(self._draft(row, place, str(number), told))
            except DataError as error:
                self._drop(error, dropped)
        if golds is not None and next(golds, None) is not None:
            raise DataError(f"{self.gold_data} has more lines than {path} has rows.")
        return found

    def _rule(self, drafts: list[_Draft]) -> str:
        if self.gold_is is not None:
            return self.gold_is
        golds = [draft.gold for draft in drafts if draft.gold is not None]
        if not golds:
            return "position"
        return choose_rule(golds, self._gold_key, tolerant=self.on_bad_row == "drop")

    def _items(
        self, drafts: list[_Draft], path: Path, prefix: str, rule: str, dropped: Counter[str]
    ) -> list[tuple[Item, bool]]:
        """Return each row's item, and whether two of its wrong choices are equal."""
        items: list[tuple[Item, bool]] = []
        places: dict[str, str] = {}
        for draft in drafts:
            try:
                gold = 0 if draft.gold is None else self._gold(draft.gold, rule)
                equal = self._has_equal(draft, gold)
                item = self._item(draft, gold, prefix)
                if item.id in places:
                    first = places[item.id].rpartition(", ")[2]
                    raise BadRow(f"{draft.place}: the id {item.id!r} is that of {first}, too.", "a second id")
            except DataError as error:
                self._drop(error, dropped)
                continue
            places[item.id] = draft.place
            items.append((item, equal))
        if not items:
            why = f": {'; '.join(f'{n} with {reason}' for reason, n in dropped.items())}" if dropped else ""
            where = " of which `where` is true" if self.where else ""
            raise DataError(
                f"{path} has no rows{where} that can be asked{why}; write one JSON object a line."
            )
        return items

    def _drop(self, error: DataError, dropped: Counter[str]) -> None:
        """Count a row that cannot be asked, or raise what is wrong with it."""
        reason = error.reason if isinstance(error, BadRow) else _NOTHING
        if isinstance(error, _Refused):
            raise error
        if self.on_bad_row == "drop" or (reason == _EQUAL and self.equal_choices == "drop"):
            dropped[reason] += 1
            return
        remedy = "`on_bad_row: drop` in the task file leaves such rows out and counts them"
        raise DataError(f"{str(error).rstrip('.')}; {remedy}.") from None

    def _gold(self, gold: Gold, rule: str) -> int:
        try:
            return read_gold(gold, self._gold_key, rule)
        except DataError as error:
            raise BadRow(str(error), "no right choice") from None

    @property
    def _gold_key(self) -> str:
        return self.gold if self.gold is not None else "gold_data"

    def _is_taken(self, row: Row, place: str) -> bool:
        return all(str(lookup(row, key, place)) == str(value) for key, value in self.where.items())

    def _refuse_constants(self, row: Row) -> None:
        """Refuse templates that ask every row the same though they speak of a key."""
        keys = [*row, *(("before", "last_word") if self.last_word is not None else ())]
        self.prompt.refuse_constant(keys)
        for template in () if isinstance(self.choices, str) else self.choices:
            template.refuse_constant(keys, whole=True)
        for template in (self.continuation, self.option, *((self.scored,) if self.scored else ())):
            template.refuse_constant(keys)
        for where, text in self.unfilled.items():
            refuse_unfilled(text, keys, where, "it is no template; move it into `prompt`")

    def _draft(self, row: Row, place: str, number: str, told: str | None) -> _Draft:
        if self.last_word is not None:
            row = {**row, **_last_word(row, self.last_word, place)}
        name, group = number, ""
        if self.id is not None:
            name = as_text(lookup(row, self.id, place), f"{place}, key {self.id!r}")
        if self.group is not None:
            group = as_text(lookup(row, self.group, place), f"{place}, key {self.group!r}")
        texts = self._texts(row, place)
        gold = None
        if self.gold_data is not None:
            gold = Gold(place, told, texts)
        elif self.gold is not None:
            gold = Gold(place, lookup(row, self.gold, place), texts)
        return _Draft(place, name, group, row, texts, gold)

    def _texts(self, row: Row, place: str) -> list[str]:
        if isinstance(self.choices, str):
            texts = _list(row, self.choices, place, "choice")
            where = f"{place}, key {self.choices!r}"
        else:
            texts, where = [template.render(row, place) for template in self.choices], place
        if self.exact_match is not None:
            return texts
        if len(texts) < 2:
            raise DataError(f"{where} must be at least 2 choices, was {len(texts)}.")
        if self.kind == "multiple_choice" and len(texts) > len(LETTERS):
            raise DataError(f"{where} must be at most {len(LETTERS)} choices, was {len(texts)}.")
        return texts

    def _has_equal(self, draft: _Draft, gold: int) -> bool:
        """Return whether two choices are equal, where both are wrong and the task file allows it."""
        texts = draft.texts
        twice = [i for i, text in enumerate(texts) if text in texts[:i]]
        if not twice:
            return False
        right = [i for i in twice if texts[i] == texts[gold]]
        if self.equal_choices == "allow" and not right:
            return True
        i = (right or twice)[0]
        what = "one of them is the right one" if right else "both are wrong"
        message = (
            f"{draft.place}: the choices {texts.index(texts[i])} and {i} are equal ({texts[i]!r}), {what}"
        )
        if self.equal_choices == "refuse":
            raise _Refused(f"{message}; the task file has `equal_choices: refuse`.")
        raise BadRow(f"{message}; `equal_choices: drop` leaves such rows out and counts them.", _EQUAL)

    def _item(self, draft: _Draft, gold: int, prefix: str) -> Item:
        row, place, texts = draft.row, draft.place, draft.texts
        unscored: tuple[int, ...] = ()
        aliases: tuple[str, ...] = ()
        if self.kind == "multiple_choice":
            options = [
                self.option.render({**row, "letter": letter, "choice": text}, place)
                for letter, text in zip(LETTERS, texts, strict=False)
            ]
            prompt = self.prompt.render({**row, "options": "".join(options)}, place)
            shown = list(LETTERS[: len(texts)])
        else:
            prompt = self.prompt.render(row, place)
            shown = [self.continuation.render({**row, "choice": text}, place) for text in texts]
        if self.exact_match is not None:
            aliases = tuple(_list(row, self.aliases, place, "alias")) if self.aliases is not None else ()
            _refuse_unreachable((*shown, *aliases), self.exact_match, place)
        elif not self.delimiter:
            _refuse_unscored(prompt, shown, place)
        choices = tuple(self.delimiter + text for text in shown)
        if self.scored is not None:
            ending = self.delimiter + self.scored.render(row, place)
            if not ending:
                raise BadRow(f"{place}: `scored` is empty, so that nothing would be scored.", _NOTHING)
            choices, unscored = tuple(text + ending for text in shown), tuple(map(len, shown))
        swaps = self.kind == "minimal_pairs" and random.Random(f"{prefix}:{draft.name}").random() < 0.5  # noqa: S311
        if swaps:  # so that equal scores, which give the first, favour neither
            choices, gold = choices[::-1], 1
        return Item(
            id=f"{prefix}:{draft.name}",
            context=prompt,
            choices=choices,
            gold=gold,
            group=draft.group,
            delimiter=self.delimiter,
            unscored=unscored,
            aliases=aliases,
        )


def _list(row: Row, key: str, place: str, what: str) -> list[str]:
    values = lookup(row, key, place)
    where = f"{place}, key {key!r}"
    if not isinstance(values, list):
        raise DataError(f"{where} must be a list of {what}s, was {type(values).__name__}.")
    return [as_text(value, f"{where}, {what} {i}") for i, value in enumerate(values)]


def _last_word(row: Row, key: str, place: str) -> dict[str, str]:
    text = as_text(lookup(row, key, place), f"{place}, key {key!r}")
    before, space, last = text.rstrip().rpartition(" ")
    if not space:
        raise BadRow(
            f"{place}, key {key!r} has one word alone, so that none comes before the last.", _NOTHING
        )
    return {"before": before, "last_word": last}


def _refuse_unscored(prompt: str, texts: list[str], place: str) -> None:
    """Refuse an empty text that gets nothing of the prompt either: only white space at its end moves over."""
    if "" in texts and prompt == prompt.rstrip():
        raise DataError(
            f"{place}: the choice {texts.index('')} is empty, so that nothing of it would be scored; give it "
            f"a text, or the task a delimiter."
        )


def _refuse_unreachable(answers: tuple[str, ...], how: ExactMatch, place: str) -> None:
    """Refuse answers of which none can be generated whole, since an `until` text ends each before."""
    stops = [next((stop for stop in how.until if stop in answer.strip()), None) for answer in answers]
    if all(stop is not None for stop in stops):
        raise BadRow(
            f"{place}: the answer {answers[0]!r} holds {stops[0]!r}, which ends an answer (`until`), so that "
            f"it could never be right; change `until`.",
            "an answer that `until` ends",
        )
