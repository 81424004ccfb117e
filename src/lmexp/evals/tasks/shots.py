"""Worked examples (shots): which ones an item is shown, and what they answer.

The shots of an item are drawn from the examples of its own group, say those that follow the same hidden
rule, by a random stream of the item's own. They depend on the seed, the item and the examples, never on
the other items, their number or their order.

Permuted labels show whether a model reads its shots or only their form (Min et al., arXiv 2202.12837).
The answers of the shots change places such that none keeps an answer equal to its own. That exists
where no answer stands more than n / 2 times. Otherwise, so also for a single shot, every shot is given a
wrong answer: one of its own other choices, or else another answer of its group. Contexts that are all
equal, as the empty ones of minimal pairs are, would only change their order: their shots take wrong
choices, too.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lmexp.errors import DataError
from lmexp.evals.tasks.items import Item


@dataclass(frozen=True, slots=True)
class Shot:
    """A worked example as it is shown."""

    id: str
    context: str
    answer: str


class Examples:
    """The examples of a task, by group, from which the shots of each item are drawn."""

    def __init__(self, examples: Sequence[Item]) -> None:
        self._groups: dict[str, list[Item]] = {}
        for example in sorted(examples, key=lambda example: example.id):
            self._groups.setdefault(example.group, []).append(example)

    def shots(self, item: Item, num_fewshot: int, seed: int) -> list[Shot]:
        """Return `num_fewshot` shots of `item`: neither the item itself nor one with the same text.

        Errors: `DataError` where its group has fewer.
        """
        return [Shot(item.id, item.context, item.answer) for item in self._draw(item, num_fewshot, seed)]

    def permuted_shots(self, item: Item, num_fewshot: int, seed: int) -> list[Shot]:
        """Return the same shots as `shots`, in the same order, each with an answer that is not its own.

        Errors: `DataError` as `shots`, and where a shot has no other answer to take.
        """
        drawn = self._draw(item, num_fewshot, seed)
        rng = random.Random(f"{seed}-{item.id}-permuted")  # noqa: S311 (reproducible, not secret)
        answers = None
        if len({example.context for example in drawn}) > 1:
            answers = derangement([example.answer for example in drawn], rng)
        if answers is None:
            answers = [rng.choice(self._wrong_answers(example)) for example in drawn]
        return [Shot(s.id, s.context, answer) for s, answer in zip(drawn, answers, strict=True)]

    def check_permutable(self, group: str) -> None:
        """Raise the `DataError` of `permuted_shots` where the examples of `group` cannot be permuted.

        It does not depend on which of them are drawn: without another answer in its own choices, an
        example takes one of its group.
        """
        examples = self._groups.get(group, [])
        if len({example.answer for example in examples}) == 1:
            for example in examples:
                self._wrong_answers(example)

    def _draw(self, item: Item, num_fewshot: int, seed: int) -> list[Item]:
        group = self._groups.get(item.group, [])
        others = [i for i, example in enumerate(group) if not _same(example, item)]
        if num_fewshot > len(others):
            where = f" in the group {item.group!r}" if item.group else ""
            raise DataError(
                f"prompts.num_fewshot asks for {num_fewshot} worked examples, but there are {len(others)} "
                f"to choose from{where}; lower it, or give the task more examples (more data or text)."
            )
        rng = random.Random(f"{seed}-{item.id}")  # noqa: S311
        return [group[i] for i in rng.sample(others, num_fewshot)]

    def _wrong_answers(self, example: Item) -> list[str]:
        wrong = [choice for choice in example.choices if choice != example.answer]
        if not wrong:
            answers = {other.answer for other in self._groups[example.group]}
            wrong = sorted(answers - {example.answer})
        if not wrong:
            raise DataError(
                f"prompts.permute_labels finds no wrong answer for the worked example {example.id}: all "
                f"answers of its group are {example.answer!r}; set prompts.permute_labels=false or leave the "
                f"task out."
            )
        return wrong


def derangement(values: Sequence[str], rng: random.Random) -> list[str] | None:
    """Return `values` in another order that has an equal value at no place; None where there is none.

    Values are put in a random order of their kinds and shifted round by at least the count of the
    commonest kind and at most n minus it, so that no value meets its own kind.
    """
    counts = Counter(values)
    most = max(counts.values(), default=0)
    if not values or 2 * most > len(values):
        return None
    kinds = sorted(counts)
    rng.shuffle(kinds)
    places = sorted(range(len(values)), key=lambda i: (kinds.index(values[i]), i))
    shift = rng.randint(most, len(values) - most)
    result = list(values)
    for i, place in enumerate(places):
        result[place] = values[places[(i + shift) % len(places)]]
    return result


def _same(example: Item, item: Item) -> bool:
    return example.id == item.id or (example.context == item.context and example.answer == item.answer)
