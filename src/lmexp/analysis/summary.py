"""The table that a run ends with, and a few lines of what its model writes: functions of its records."""

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from lmexp.analysis.accuracies import Task, tasks
from lmexp.analysis.audits import audit_text, audits_of
from lmexp.analysis.corpora import corpora
from lmexp.analysis.drawing.formats import measured, ranged
from lmexp.analysis.leaderboard.rows import Leaderboard, leaderboards
from lmexp.analysis.leaderboard.section import in_a_sentence
from lmexp.analysis.leaderboard.terminal import leaderboard_rows
from lmexp.analysis.records import read_run
from lmexp.analysis.statistics.bits import bits_per_byte, loses_to_compressors, lost_share, remarks, sign
from lmexp.analysis.statistics.sizes import size_rows
from lmexp.core.provenance.drift import named
from lmexp.core.records.runs import Run
from lmexp.core.store.record import intact_file
from lmexp.core.values.files import read_lines
from lmexp.core.values.numbers import number

_SAMPLE_LINES = 6
_SAMPLE_WIDTH = 100
_OWN_METRICS = 8
_SHIPPED = frozenset(
    (
        "corpus",
        "tokenizer",
        "packing",
        "pretrain",
        "ngram",
        "perplexity",
        "prompts",
        "samples",
        "adopted_model",
        "audit",
        "size",
    )
)
"""Stages whose numbers the tables above show as far as a person wants them."""


def summary(run: Run) -> str:
    """Return the run's stages, headline metrics and accuracies as text."""
    parts = [f"\n{run.name}  {run.status}", _stages(run)]
    metrics = run.metrics
    parts += [table(rows) for rows in (_corpora(metrics), _packing(metrics)) if rows]
    boards = _boards(run)
    parts += _measured(run, boards)
    if boards:
        return "\n\n".join(parts)
    parts += [table(rows)] if (rows := size_rows(metrics)) else []
    parts += [audit_text(rows) for _, rows in audits_of(run)]
    parts += [lost] if (lost := _lost(metrics)) else []
    parts += _sample(run)
    return "\n\n".join(parts)


def headline(run: Run) -> str:
    """Return the run's name and what was measured, in a few lines."""
    return "\n\n".join([f"{run.name}  {run.status}", *_measured(run, _boards(run))])


def _measured(run: Run, boards: Sequence[Leaderboard]) -> list[str]:
    """Return tables of what was measured: of several models on one text, a leaderboard."""
    of_texts = [_perplexity(run.metrics)] if not boards else [leaderboard_rows(board) for board in boards]
    parts = [table(rows) for rows in (*of_texts, _prompts(run.metrics), _own(run)) if rows]
    said = [textwrap.fill(in_a_sentence(board), _SAMPLE_WIDTH) for board in boards]
    return [*said, *parts]


def _boards(run: Run) -> list[Leaderboard]:
    """Return the leaderboards of a run; those of one with one perplexity need not be looked for."""
    several = sum(entry["stage"] == "perplexity" for entry in run.stages.values()) > 1
    return leaderboards(read_run(run)) if several else []


def _stages(run: Run) -> str:
    rows = [("stage", "action", "seconds", "artifact")]
    for name, entry in run.stages.items():
        rows.append((name, entry["action"], f"{entry['seconds']:.1f}", entry["artifact"]))
    changed = [
        f"{name} was reused; changed since: {named(entry['changed'])}"
        for name, entry in run.stages.items()
        if entry.get("changed")
    ]
    return "\n".join([table(rows), *changed])


def _corpora(metrics: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return the documents of each corpus by split, and what was dropped for which reason."""
    rows = [
        (corpus.name, *(f"{count:,}" for count in corpus.documents.values()), corpus.words())
        for corpus in corpora(metrics)
    ]
    return [("documents of", "train", "validation", "test", "dropped"), *rows] if rows else []


def _packing(metrics: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return what became of the documents of each split that was packed into rows."""
    rows: list[tuple[str, ...]] = []
    for key, skew in metrics.items():
        split, _, name = key.rpartition("/")
        if name != "first_skew" or f"{split}/cut_documents" not in metrics:
            continue
        dropped = metrics[f"{split}/dropped_tokens"] / max(1, metrics[f"{split}/tokens"])
        shares = (metrics[f"{split}/padding"], metrics[f"{split}/cut_documents"], dropped, skew)
        rows.append((split, f"{metrics[f'{split}/rows']:,.0f}", *(f"{share:.3f}" for share in shares)))
    head = ("documents in rows", "rows", "padding", "cut", "dropped", "skew of first places")
    return [head, *rows] if rows else []


def _perplexity(metrics: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return a row of each held-out text: bits per byte of the model and of the compressors beside it."""
    rows: list[tuple[str, ...]] = []
    for head, values in bits_per_byte(metrics).items():
        for who, (value, error) in values.items() if "" in values else ():
            loss, perplexity = metrics.get(f"{head}/loss"), metrics.get(f"{head}/perplexity")
            at_most = "" if who not in ("", "regret") else sign(metrics, f"{head}/bits_per_byte")
            per_token = (
                "" if who or loss is None else at_most + measured(loss, metrics.get(f"{head}/loss/stderr")),
                "" if who or perplexity is None else at_most + number(perplexity),
            )
            lost = None if who else lost_share(metrics, head)
            share = "" if lost is None else f"{lost:.2%}"
            rows.append((head, who or "model", at_most + measured(value, error), *per_token, share))
    rows += [
        (head.rpartition("/")[0], "model", "infinite", "infinite", "infinite", "")
        for head, value in metrics.items()
        if head.endswith("/zero_tokens") and value
    ]
    columns: tuple[str, ...] = (
        "held-out text", "", "bits per byte", "nats per token", "perplexity", "text lost",
    )  # fmt: skip
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return [columns, *rows] if rows else []


def _lost(metrics: Mapping[str, float]) -> str:
    """Return a sentence for each text where a compressor is ahead, and for each that cannot be compared."""
    found = [(head, loses_to_compressors(metrics, head)) for head in bits_per_byte(metrics)]
    found += remarks(metrics).items()
    return "\n".join(textwrap.fill(f"{head}: {text}", _SAMPLE_WIDTH) for head, text in found if text)


def _prompts(metrics: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return one row for each task and number of shots, and one for a task that has no items."""
    found = tasks(metrics)
    rows: list[tuple[str, ...]] = [row for task in found for row in _task(task)]
    empty = [key.removesuffix("/items") for key, n in metrics.items() if key.endswith("/items") and n == 0]
    rows += [(name, "", "no items here", "", "", "0", "", _none(metrics, name)) for name in empty]
    head: tuple[str, ...] = ("prompts", "shots", "accuracy", "chance", "bigram", "items", "change", "remarks")
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return [head, *rows] if rows else []


def _task(task: Task) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for n in sorted({*task.acc, *task.permuted}):
        for permuted, shares in ((False, task.acc), (True, task.permuted)):
            if n not in shares:
                continue
            changes = task.permutation_loss if permuted else task.gain
            rows.append(
                (
                    task.name,
                    f"{n} permuted" if permuted else str(n),
                    ranged(*shares[n]),
                    _plain(task.chance),
                    _plain(task.baseline),
                    f"{task.items or 0:.0f}",
                    _change(changes[n], -1 if permuted else 1) if n in changes else "",
                    "" if permuted else ", ".join(task.remarks(n)),
                )
            )
    return rows


def _none(metrics: Mapping[str, float], task: str) -> str:
    dropped = metrics.get(f"{task}/dropped", 0)
    return f"{dropped:,.0f} rows dropped" if dropped else ""


def _change(difference: tuple[float, float, float], sign: int) -> str:
    """Return a paired difference with its 95 % interval: over zero shots, or of permuted over true labels."""
    value, *ends = (sign * part + 0.0 for part in difference)
    low, high = sorted(ends)
    return f"{value:+.3f}" + (f" [{low:+.3f}, {high:+.3f}]" if math.isfinite(low + high) else "")


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _own(run: Run) -> list[tuple[str, ...]]:
    """Return the first metrics of each stage that lmexp does not ship."""
    rows: list[tuple[str, ...]] = []
    for name, entry in run.stages.items():
        if entry["stage"] not in _SHIPPED:
            own = [(key, number(v)) for key, v in run.metrics.items() if key.startswith(f"{name}/")]
            rows += own[:_OWN_METRICS]
            rows += [(f"{name}/...", f"{len(own) - _OWN_METRICS} more")] * (len(own) > _OWN_METRICS)
    return [("metric", "value"), *rows] if rows else []


def _sample(run: Run) -> list[str]:
    """Return the first lines of the first sample of each stage of samples, safe to print in a terminal."""
    found = []
    for name, entry in run.stages.items():
        if entry["stage"] != "samples":
            continue
        rows = intact_file(run.artifact(name), "samples.jsonl")
        row = None if rows is None else next(read_lines(rows), None)
        if row is None:
            continue
        lines = [
            line
            for long in f"{row['prompt']}{row['text']}".splitlines()
            for line in textwrap.wrap(_printable(long), _SAMPLE_WIDTH, drop_whitespace=False) or [""]
        ]
        while lines and not lines[0].strip():
            del lines[0]
        more = ["..."] if len(lines) > _SAMPLE_LINES else []
        shown = [*lines[:_SAMPLE_LINES], *more]
        found.append("\n".join([f"{name}, the first of them", *(f"  | {line}" for line in shown)]))
    return found


def _printable(line: str) -> str:
    """Return the line with tabs spread, and U+FFFD for what could move a cursor or change a colour."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line.expandtabs(4))


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows of equal length as columns of text; the first row is the head."""
    listed = list(rows)
    widths = [max(len(row[i]) for row in listed) for i in range(len(listed[0]))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    )
