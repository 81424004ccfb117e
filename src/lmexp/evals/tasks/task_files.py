"""Tasks declared in YAML: one YAML file a task, its rows beside it.

    name: colours
    kind: cloze                            # or multiple_choice, minimal_pairs, exact_match
    data: colours.jsonl
    prompt: "Question: {question}\\nAnswer:"
    choices: options                       # the key of a list, or a list of templates
    gold: answer                           # the key of what says which is right (lmexp.evals.tasks.golds)

docs/add-a-task.md describes every key. All of it is checked when it is loaded, each row too, so that a
mistake costs no training: an error names the file, the line, the key and the nearest valid name. A file
is read with yaml's safe loader, its templates name keys and nothing else (`lmexp.evals.tasks.templates`), and
its data lie in its own folder: a task file that somebody else wrote can neither run code nor read other
files.
"""

import re
from pathlib import Path

from lmexp.evals.tasks.golds import RULES
from lmexp.evals.tasks.task_items import TaskFile
from lmexp.evals.tasks.task_keys import TaskKeys

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_OPTION = " {letter}. {choice}\n"


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
    option = keys.template("option", _OPTION)
    if not {"letter", "choice"} <= option.names:
        raise keys.error("option", "must hold {letter} and {choice}, or else the letters mean nothing")
    if keys.has("gold_data") and keys.has("fewshot_data"):
        raise keys.error("gold_data", "says what is right in data alone; give fewshot_data rows with `gold`")
    return TaskFile(
        path=path,
        name=name,
        kind=kind,
        data=keys.file("data"),
        fewshot_data=keys.file("fewshot_data") if keys.has("fewshot_data") else None,
        gold_data=keys.file("gold_data") if keys.has("gold_data") else None,
        where=keys.where(),
        on_bad_row=keys.one_of("on_bad_row", ("fail", "drop")) or "fail",
        last_word=keys.optional("last_word"),
        prompt=prompt,
        choices=(keys.template("answer"),) if kind == "exact_match" else keys.choices(kind),
        equal_choices=keys.one_of("equal_choices", ("allow", "drop", "refuse")) or "allow",
        gold=keys.optional("gold"),
        gold_is=keys.one_of("gold_is", tuple(RULES)),
        option=option,
        continuation=continuation,
        scored=keys.template("scored") if keys.has("scored") else None,
        aliases=keys.optional("aliases"),
        delimiter=keys.text("delimiter", "" if kind == "minimal_pairs" else " "),
        group=keys.optional("group"),
        id=keys.optional("id"),
        description=keys.text("description"),
        separator=keys.text("separator", "\n\n"),
        licence=keys.text("licence"),
        exact_match=keys.exact_match() if kind == "exact_match" else None,
        unfilled={
            keys.place(key): keys.text(key)
            for key in ("description", "delimiter", "separator")
            if keys.has(key)
        },
    )
