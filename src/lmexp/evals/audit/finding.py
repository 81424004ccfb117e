"""What one check of an audit found."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lmexp.evals.audit.config import CHECKS

Verdict = Literal["pass", "fail", "unknown"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the audit's table."""

    check: str
    """A name of `CHECKS`."""
    verdict: Verdict
    figure: float | None
    """What was measured, the worst case; None where nothing was."""
    tolerance: float | None
    """Most that `figure` may be; None where it cannot be stated as one number."""
    reason: str = ""
    """One sentence where the check does not pass."""

    def row(self) -> dict[str, Any]:
        """Return what `audit.jsonl` says of it; a figure that is no finite number stands as a word."""
        row = {**dataclasses.asdict(self), "about": CHECKS[self.check]}
        if self.figure is not None and not math.isfinite(self.figure):
            row["figure"] = str(self.figure)
        return row


def judged(check: str, figure: float, tolerance: float, reason: str) -> Finding:
    """Return a pass where `figure` is at most `tolerance`, and a failure with `reason` otherwise."""
    passes = figure <= tolerance  # false for a figure that is not a number
    return Finding(
        check=check,
        verdict="pass" if passes else "fail",
        figure=figure,
        tolerance=tolerance,
        reason="" if passes else reason,
    )


def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the largest difference of two arrays of scores; equal infinities differ by 0.

    Arrays of different lengths differ by infinity.
    """
    if one.shape != other.shape:
        return math.inf
    if not len(one):
        return 0.0
    with np.errstate(invalid="ignore"):
        apart = np.where(one == other, 0.0, np.abs(one - other))
    return math.inf if np.isnan(apart).any() else float(apart.max())


def counts(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many findings, as `audit.jsonl` holds them, have each verdict."""
    found = {"passed": 0, "failed": 0, "unknown": 0}
    for row in rows:
        found[{"pass": "passed", "fail": "failed"}.get(row["verdict"], "unknown")] += 1
    return found
