"""Items of prompt tasks: what is asked, and what is right.

A task is a list of items, with examples from which worked ones are drawn and with the way in which all of
them are written out (`lmexp.evals.prompts`). It scores choices by their log-likelihood, or, for the kind
`exact_match`, compares what a model generates with the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """A context and what may follow it, of which `choices[gold]` is right."""

    id: str
    """Unique within its task; it seeds the draw of shots."""
    context: str
    choices: tuple[str, ...]
    """An item of an exact-match task has one choice, the answer."""
    gold: int
    group: str = ""
    """Shots come from examples of the same group."""
    delimiter: str = ""
    """What each choice begins with, or what is scored of it, that is not its own text."""
    unscored: tuple[int, ...] = ()
    """Characters at the beginning of each choice that are read and not scored; empty means none."""
    aliases: tuple[str, ...] = ()
    """Other right answers of an exact-match item."""

    @property
    def answer(self) -> str:
        """The right choice."""
        return self.choices[self.gold]

    @property
    def read(self) -> tuple[int, ...]:
        """Characters at the beginning of each choice that are read and not scored."""
        return self.unscored or (0,) * len(self.choices)

    def own(self, choice: int) -> str:
        """Return what is scored of a choice, without the task's delimiter."""
        return self.choices[choice][self.read[choice] :].removeprefix(self.delimiter)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Items and examples of one task, and how a prompt is made of them."""

    name: str
    kind: str = "minimal_pairs"
    """multiple_choice, cloze, minimal_pairs or exact_match."""
    items: tuple[Item, ...]
    examples: tuple[Item, ...] = ()
    """What worked examples are drawn from; it may hold the items themselves."""
    description: str = ""
    """Text before the worked examples and the item, at every number of shots."""
    separator: str = "\n\n"
    """Text after each worked example."""
    shot_characters: int | None = None
    """Most characters of context that a worked example shows, its last ones; None shows all."""
    licence: str = ""
    """Whose the items are and what may be done with them; empty where that is not stated."""
    exact_match: "ExactMatch | None" = None
    """How answers are generated; None where choices are scored."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Rows that were left out, by the reason."""
    equal_choices: int = 0
    """Items of which two wrong choices are equal."""


@dataclass(frozen=True, kw_only=True)
class ExactMatch:
    """How an answer is generated and compared."""

    until: tuple[str, ...] = ("\n",)
    """Texts before the first of which an answer ends."""
    max_new_tokens: int = 32
    """Most tokens that are generated."""
    ignore_case: bool = False
    """Compare without regard to capitals."""
    ignore_punctuation: bool = False
    """Compare without the characters of `string.punctuation`."""
