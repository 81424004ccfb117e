"""What a metric of a run is a ratio of: a numerator and a denominator for each document or item.

Two runs that were measured on the same documents are compared document by document, which tells differences
apart that are far smaller than the spread over documents. The stages of this library leave rows for it:
``<split>.jsonl`` of a perplexity and ``<task>-<shots>.jsonl`` of prompts.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from lmexp.core.records.runs import Run
from lmexp.core.store.record import intact_file
from lmexp.core.values.files import read_lines

_RATIOS = {
    "bits_per_byte": ("nll_sum", "bytes", 1 / math.log(2)),
    "loss": ("nll_sum", "tokens", 1.0),
}
"""Metrics of a split: the rows' numerator and denominator, and what the numerator is multiplied by."""
_SHARES = ("acc", "exact_match")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Units:
    """By the id of each document or item, what it adds to the numerator and to the denominator."""

    numerators: Mapping[str, float]
    denominators: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """The metric."""
        return math.fsum(self.numerators.values()) / math.fsum(self.denominators.values())


def units_of(run: Run, metric: str) -> Units | None:
    """Return the units of one of a run's metrics; None where it is no ratio or its rows are not there."""
    handle, _, rest = metric.partition("/")
    if handle not in run.stages:
        return None
    rows, numerator, denominator, factor = _rows(run.artifact(handle), rest)
    if rows is None:
        return None
    numerators: dict[str, float] = {}
    denominators: dict[str, float] = {}
    for row in read_lines(rows):
        found = [row.get(numerator), 1.0 if denominator is None else row.get(denominator)]
        if "id" not in row or not all(isinstance(value, int | float) for value in found):
            return None
        numerators[str(row["id"])] = factor * float(found[0])  # type: ignore[arg-type]
        denominators[str(row["id"])] = float(found[1])  # type: ignore[arg-type]
    if not math.fsum(denominators.values()):
        return None
    return Units(numerators=numerators, denominators=denominators)


def mean_units(several: Sequence[Units]) -> Units | None:
    """Return the mean of each unit over repetitions; None where they are of other documents or items."""
    first = several[0]
    if any(units.numerators.keys() != first.numerators.keys() for units in several):
        return None
    n = len(several)
    return Units(
        numerators={key: math.fsum(u.numerators[key] for u in several) / n for key in first.numerators},
        denominators={key: math.fsum(u.denominators[key] for u in several) / n for key in first.numerators},
    )


def paired_variance(one: Units, other: Units) -> tuple[float, int] | None:
    """Return the variance of the difference of two ratios over the same units, and the number of units.

    By the linearised residuals e = (x - R w) / W of each ratio R = X / W (Cochran 1977, "Sampling
    techniques", 6.4): n / (n - 1) times the sum of the squares of e - e'. None for other or fewer than two
    units.
    """
    if one.numerators.keys() != other.numerators.keys() or len(one.numerators) < 2:
        return None
    n = len(one.numerators)
    squares = []
    sides = [(units, units.ratio, math.fsum(units.denominators.values())) for units in (one, other)]
    for key in one.numerators:
        first, second = (
            (units.numerators[key] - ratio * units.denominators[key]) / total for units, ratio, total in sides
        )
        squares.append((first - second) ** 2)
    return n / (n - 1) * math.fsum(squares), n


def _rows(artifact: Path, rest: str) -> tuple[Path | None, str, str | None, float]:
    """Return the file of rows that a metric is a ratio over, its two columns and the factor."""
    head, _, name = rest.rpartition("/")
    file = ""
    numerator, denominator, factor = "", None, 1.0
    if head and name in _RATIOS:
        numerator, denominator, factor = _RATIOS[name]
        file = f"{head}.jsonl"
    elif name.isdigit() and head.rpartition("/")[2] in _SHARES:
        task, _, numerator = head.rpartition("/")
        file = f"{task}-{name}.jsonl"
    return intact_file(artifact, file) if file else None, numerator, denominator, factor
