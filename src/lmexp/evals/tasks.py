"""Tasks by name: where the items of each come from.

Python pairs are made from the corpus: items from its test split and examples from its validation split.
A corpus that is no Python gives none, and the task is then empty rather than an error, so that the same
prompts can be asked of any corpus.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from lmexp.evals.items import Task
from lmexp.evals.python_pairs import make_pairs

PYTHON_EXAMPLES = 500
"""Examples made for a Python task, whatever the number of its items."""

PYTHON_SHOT_CHARACTERS = 300
"""Most characters of a file that a worked example shows before the edited line."""

MAX_DOCUMENTS = 10_000
"""Documents of a split that are searched for Python items, the first ones."""


class TaskMaker:
    """Makes the tasks of one evaluation, reading the corpus once and only where a task needs it."""

    def __init__(
        self,
        documents: Callable[[str], Iterable[tuple[str, str]]],
        *,
        limit: int | None,
        seed: int,
        needs_examples: bool,
    ) -> None:
        """`documents` yields (id, text) of a split's documents; `limit` bounds the items of each task."""
        self._documents = documents
        self._limit = limit
        self._seed = seed
        self._needs_examples = needs_examples
        self._splits: dict[str, list[tuple[str, str]]] = {}

    def make(self, name: str) -> Task:
        """Return the embedded task `name`."""
        examples = []
        if self._needs_examples:
            examples = make_pairs(name, self._split("validation"), PYTHON_EXAMPLES, self._seed)
        return Task(
            name=name,
            items=tuple(make_pairs(name, self._split("test"), self._limit, self._seed)),
            examples=tuple(examples),
            shot_characters=PYTHON_SHOT_CHARACTERS,
        )

    def _split(self, split: str) -> list[tuple[str, str]]:
        if split not in self._splits:
            self._splits[split] = list(islice(self._documents(split), MAX_DOCUMENTS))
        return self._splits[split]
