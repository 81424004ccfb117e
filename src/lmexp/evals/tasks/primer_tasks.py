"""The primer's lessons as prompt tasks: can a model infer a hidden rule from worked examples?

An item asks for one example of a rule on words or numbers that no training document holds; its choices
are what the rules of the lesson answer, each once. Items of one rule are a group, and worked examples
come from the same group, so that they show the rule, on words and numbers of a part of their own
(`lmexp.primer.words`): neither a document nor a worked example ever answers an item.

Without worked examples nothing tells the rule. The best that can be done then is to name what most
rules answer, and what a model gains from worked examples it has inferred from them.

Not every rule of a lesson is asked where there are many: `MAX_GROUPS` are drawn by the seed, of each
name in turn, and items are shared out evenly among them.
"""

import random
from itertools import zip_longest

from lmexp.errors import DataError
from lmexp.evals.tasks.items import Item
from lmexp.primer.lessons import LESSONS

PRIMER_TASKS: dict[str, str] = {
    "primer_operator": "the result of a made-up operator, by its examples",
    "primer_translation": "a word in a made-up language, by its examples",
    "primer_copy": "words copied in an order that the examples show",
    "primer_sort": "numbers sorted as the examples show",
    "primer_question": "a question whose answer stands in the facts before it",
}
"""The primer's tasks and what each one asks."""

SEPARATOR = "\n"
"""What follows a worked example, as it follows a line of a document."""

MAX_GROUPS = 48
"""Most rules that a task asks."""
MAX_ITEMS = 1000
"""Items of a task without a limit; most rules have more examples than anyone needs."""
EXAMPLES_PER_GROUP = 24
"""Worked examples of each rule that an item's are drawn from."""
_TRIES = 200
"""Examples drawn in a row that are not new before a rule counts as used up."""


def make_primer_items(task: str, part: str, limit: int | None, seed: int) -> list[Item]:
    """Return the items of `task`, for the part `test`, or the worked examples, for the part `shots`.

    A pure function of its arguments. Of `test` there are up to `limit` (None means `MAX_ITEMS`), no two
    alike; of `shots` up to `EXAMPLES_PER_GROUP` of each group that an item may have, whatever the limit.
    Errors: `DataError` for another part.
    """
    if part not in ("test", "shots"):
        raise DataError(f"a primer task has the parts 'test' and 'shots', was {part!r}.")
    groups = _groups(task, seed)
    if part == "shots":
        return [item for group in groups for item in _of_group(task, group, part, EXAMPLES_PER_GROUP, seed)]
    total = MAX_ITEMS if limit is None else limit
    share = -(-total // len(groups))
    by_group = [_of_group(task, group, part, share, seed) for group in groups]
    return [item for items in zip_longest(*by_group) for item in items if item is not None][:total]


def _groups(task: str, seed: int) -> list[str]:
    """Return the rules that are asked, each name of a rule equally often."""
    by_name: dict[str, list[str]] = {}
    for rule in LESSONS[_lesson(task)].rules:
        by_name.setdefault(rule.split()[0], []).append(rule)
    for name, rules in by_name.items():
        random.Random(f"{seed}-{task}-{name}").shuffle(rules)  # noqa: S311 (reproducible, not secret)
    turns = zip(*by_name.values(), strict=True)
    return [rule for turn in turns for rule in turn][:MAX_GROUPS]


def _of_group(task: str, group: str, part: str, number: int, seed: int) -> list[Item]:
    """Return up to `number` different items of one rule."""
    rng = random.Random(f"{seed}-{task}-{part}-{group}")  # noqa: S311
    draw = LESSONS[_lesson(task)].example
    items: list[Item] = []
    seen: set[str] = set()
    repeats = 0
    while len(items) < number and repeats < _TRIES:
        example = draw(group, part, rng)
        if example.question in seen:
            repeats += 1
            continue
        repeats = 0
        seen.add(example.question)
        choices = [example.answer, *example.others]
        rng.shuffle(choices)
        name = f"{task}:{part}:{group}:{len(items)}"
        gold = choices.index(example.answer)
        items.append(Item(name, example.question, tuple(choices), gold, group, delimiter=" "))
    return items


def _lesson(task: str) -> str:
    return task.removeprefix("primer_")
