"""Loads public evaluation files as prompt tasks, one YAML a file, and scores some items with a tiny model.

    python benchmarks/public_tasks.py DATA [--out tasks] [--items 8]

DATA is a folder with ``llmfoundry_icl``, ``olmes_requests``, ``piqa``, ``hellaswag``, ``lambada``, ``blimp``,
as far as they are there. The YAML files are written beside copies of the data, so that they can be kept and
given to `prompts.task_files`. Printed is a row a file: the kind, the items, what was left out, and the share
of right answers of the first items, which of an untrained model says only that they can be scored.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lmexp.errors import DataError
from lmexp.evals.exact_match import score_answers
from lmexp.evals.prompts import prompts_of, score_choices
from lmexp.evals.tasks.items import Task
from lmexp.evals.tasks.task_files import read_task_file
from lmexp.models.build import build_model
from lmexp.models.families import GPTConfig
from lmexp.scoring.scorer import scorer_of
from lmexp.tokenizer.config import ByteBPEConfig

Keys = Mapping[str, Any]
_CONTEXT_LENGTH = 256
_FORMS: tuple[tuple[set[str], Keys], ...] = (
    ({"context_options", "continuation", "gold"},
     {"kind": "cloze", "prompt": "", "choices": "context_options", "scored": "{continuation}",
      "gold": "gold"}),
    ({"query", "choices", "gold"},
     {"kind": "cloze", "prompt": "{query}", "choices": "choices", "gold": "gold"}),
    ({"context", "answer", "aliases"},
     {"kind": "exact_match", "prompt": "{context}", "answer": "{answer}", "aliases": "aliases",
      "ignore_case": True, "ignore_punctuation": True}),
    ({"context", "answer"},
     {"kind": "exact_match", "prompt": "Question: {context}\nAnswer:", "answer": "{answer}"}),
    ({"context", "continuation"},
     {"kind": "exact_match", "prompt": "{context}", "answer": "{continuation}"}),
    ({"sentence_good", "sentence_bad"},
     {"kind": "minimal_pairs", "choices": ["{sentence_good}", "{sentence_bad}"], "equal_choices": "drop"}),
    ({"text"},
     {"kind": "exact_match", "last_word": "text", "prompt": "{before}", "answer": "{last_word}"}),
    ({"goal", "sol1", "sol2"},
     {"kind": "cloze", "prompt": "Question: {goal}\nAnswer:", "choices": ["{sol1}", "{sol2}"],
      "gold_data": "valid-labels.lst"}),
)  # fmt: skip
"""From the keys that a row must have to the keys of a task file; the first that fits is taken."""


def keys_of(path: Path) -> Keys:
    """Return the keys of a task file for a data file, by what its first row holds."""
    import gzip

    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        row = json.loads(file.readline())
    if "request_type" in row:
        return _requests(row)
    form = next((form for needed, form in _FORMS if needed <= set(row)), None)
    if form is None:
        raise DataError(f"{path.name}: no form of a task has the keys {', '.join(row)}.")
    if "gold_data" in form and not path.name.startswith("valid"):
        raise DataError(f"{path.name} has no labels, as test sets of contests have none.")
    if form["kind"] == "exact_match":  # a public answer with a line end in it ends with it
        form = {**form, "on_bad_row": "drop"}
    return form


def _requests(row: Mapping[str, Any]) -> Keys:
    """Return the keys for OLMES's requests, one a choice, whose contexts hold the worked examples."""
    document = row["doc"]
    if "gold" in document:
        form = {"kind": "cloze", "prompt": "{request.context}", "choices": "doc.choices", "gold": "doc.gold"}
        # of sciq every gold is 3 of 4, which its rows alone do not tell from a number
        return {**form, "gold_is": "position", "where": {"idx": 0}, "on_bad_row": "drop"}
    if "answers_text" in document:
        return {"kind": "exact_match", "prompt": "{request.context}", "answer": "{doc.answers_text.0}",
                "aliases": "doc.answers_text", "on_bad_row": "drop"}  # fmt: skip
    raise DataError(
        "a choice of this file is a context of its own, and each stands in a line of its own: write the two "
        "contexts of a document into one row, as winogrande.jsonl of llmfoundry_icl has them."
    )


def files_of(data: Path) -> Iterator[Path]:
    """Yield the evaluation files of the folder."""
    yield from sorted(data.glob("llmfoundry_icl/*/*.jsonl"))
    yield from sorted(data.glob("olmes_requests/*requests.jsonl.gz"))
    for folder in ("piqa", "hellaswag", "lambada", "blimp"):
        yield from sorted(data.glob(f"{folder}/*.jsonl"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, help="where the task files go; a temporary folder unless given")
    parser.add_argument("--items", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        score = _scoring()
        print(f"{'file':58} {'kind':14} {'items':>6} {'equal':>5} {'dropped':>7} {'right':>5}")
        for path in files_of(arguments.data):
            print(f"{path.parent.name + '/' + path.name:58} {_row(path, out, arguments.items, score)}")


def _row(path: Path, out: Path, items: int, score: Any) -> str:
    name = f"{path.parent.name}_{path.name.partition('.')[0]}".replace("-", "_")
    beside = out / name
    beside.mkdir(exist_ok=True)
    for file in (path, path.with_name("valid-labels.lst")):
        target = beside / file.name
        if file.exists() and not target.exists():
            target.write_bytes(file.read_bytes())
    try:
        keys = {"name": name, "data": path.name, **keys_of(path)}
        task_file = beside / f"{name}.yaml"
        task_file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items()))
        whole = read_task_file(task_file).task(limit=None, seed=0)
        few = read_task_file(task_file).task(limit=items, seed=0)
    except DataError as error:
        return f"refused: {error}"
    right = score(few)
    return (
        f"{whole.kind:14} {len(whole.items):6} {whole.equal_choices:5} {sum(whole.dropped.values()):7} "
        f"{right:5.2f} {dict(whole.dropped) or ''}"
    )


def _scoring() -> Any:
    """Return what gives the share of right answers of a task's items, with an untrained model."""
    tokenizer = ByteBPEConfig(vocab_size=300).make(iter(["the cat sat on the mat\n" * 99]))
    shape = GPTConfig(context_length=_CONTEXT_LENGTH, num_layers=1, num_heads=1, num_kv_heads=1, d_model=16)
    model = build_model(shape, tokenizer.vocab_size, seed=0)
    scorer = scorer_of(
        model, context_length=_CONTEXT_LENGTH, batch_size=8, bos_token_id=tokenizer.eos_token_id
    )

    def score(task: Task) -> float:
        asked = prompts_of(task, num_fewshot=0, seed=0)
        if task.exact_match is None:
            rows = score_choices(scorer, tokenizer, asked)
            return sum(row["acc"] for row in rows) / len(rows)
        rows = score_answers(model, tokenizer, task, asked, batch_size=8)
        return sum(row["exact_match"] for row in rows) / len(rows)

    return score


if __name__ == "__main__":
    main()
