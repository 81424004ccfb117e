"""Tasks by name: where the items of each come from.

Python pairs are made from the corpus: items from its test split and examples from its validation split.
A corpus that is no Python gives none, and the task is then empty rather than an error, so that the same
prompts can be asked of any corpus. The primer's tasks are made of nothing but the seed. Tasks with a fixed
set of items are task files: those of the folder ``data`` beside this module, and the user's own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from lmexp.errors import DataError
from lmexp.evals.config import TASKS, PromptsConfig
from lmexp.evals.tasks.items import Task
from lmexp.evals.tasks.primer_tasks import EXAMPLES_PER_GROUP, PRIMER_TASKS, SEPARATOR, make_primer_items
from lmexp.evals.tasks.python_pairs import make_pairs
from lmexp.evals.tasks.shots import Examples
from lmexp.evals.tasks.task_files import read_task_file
from lmexp.evals.tasks.task_items import TaskFile

EMBEDDED = Path(__file__).parent.parent / "data"
"""Where the task files of lmexp itself lie, each named as its task."""

PYTHON_EXAMPLES = 500
"""Examples made for a Python task, whatever the number of its items."""

PYTHON_SHOT_CHARACTERS = 300
"""Most characters of a file that a worked example shows before the edited line."""

MAX_DOCUMENTS = 10_000
"""Documents of a split that are searched for Python items, the first ones."""


def task_files(config: PromptsConfig) -> list[TaskFile]:
    """Return the checked task files that `config` needs: embedded ones by name, then the user's own.

    Errors: `DataError` for a file that cannot be used, or that bears the name of another task.
    """
    found = [
        read_task_file(EMBEDDED / f"{name}.yaml")
        for name in config.tasks
        if (EMBEDDED / f"{name}.yaml").exists()
    ]
    taken: dict[str, object] = dict.fromkeys(TASKS, "an embedded task")
    for path in config.task_files:
        file = read_task_file(Path(path).expanduser().absolute())
        if file.name in taken:
            raise DataError(
                f"{file.path} names its task {file.name!r}, as {taken[file.name]} does; choose another."
            )
        taken[file.name] = file.path
        found.append(file)
    return found


def content_hashes(config: PromptsConfig, hash_file: Callable[[Path], str]) -> dict[str, str]:
    """Return what stands for task files and their data in a fingerprint, once every row is checked.

    Errors: `DataError` as for `task_files` and `TaskFile.task`, for fewer examples than shots, and for
    examples whose answers cannot be permuted where they are to be.
    """
    shots = max(config.num_fewshot)
    for name in config.tasks:
        if name in PRIMER_TASKS and shots > EXAMPLES_PER_GROUP:
            raise DataError(
                f"prompts.num_fewshot asks for {shots} worked examples, but {name} has {EXAMPLES_PER_GROUP} "
                f"of each rule; lower it."
            )
    hashes: dict[str, str] = {}
    for file in task_files(config):
        task = file.task(limit=None, seed=0)
        _check_examples(file.path, task, shots)
        if config.permute_labels and shots:
            _check_permutable(file.path, task)
        hashes |= {f"{file.name}:{key}": value for key, value in file.content(hash_file).items()}
    return hashes


def _check_examples(path: Path, task: Task, num_fewshot: int) -> None:
    """Check that the items of each group find their worked examples."""
    sizes = Counter(example.group for example in task.examples)
    alike = Counter((example.group, example.context, example.answer) for example in task.examples)
    for item in task.items:  # among the examples like it is the item itself, where they are its own rows
        left = sizes[item.group] - alike[item.group, item.context, item.answer]
        if left < num_fewshot:
            where = f" of the group {item.group!r}" if item.group else ""
            raise DataError(
                f"{path}: prompts.num_fewshot asks for {num_fewshot} worked examples, but an "
                f"item{where} has {left} to choose from; lower it, or write more rows."
            )


def _check_permutable(path: Path, task: Task) -> None:
    """Check that the worked examples of each group that is asked find wrong answers."""
    examples = Examples(task.examples)
    try:
        for group in dict.fromkeys(item.group for item in task.items):
            examples.check_permutable(group)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


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

    def tasks(self, config: PromptsConfig) -> Iterator[Task]:
        """Yield each task of `config`, in its order, one at a time."""
        files = {file.name: file for file in task_files(config)}
        for name in [*config.tasks, *(name for name in files if name not in config.tasks)]:
            if name in files:
                yield self._from_file(files[name])
            else:
                yield self._from_primer(name) if name in PRIMER_TASKS else self._from_python(name)

    def _from_file(self, file: TaskFile) -> Task:
        return file.task(limit=self._limit, seed=self._seed)

    def _from_primer(self, name: str) -> Task:
        items, examples = (make_primer_items(name, p, self._limit, self._seed) for p in ("test", "shots"))
        return Task(
            name=name, kind="cloze", items=tuple(items), examples=tuple(examples), separator=SEPARATOR
        )

    def _from_python(self, name: str) -> Task:
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
