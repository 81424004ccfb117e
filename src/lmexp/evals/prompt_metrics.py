"""From rows to figures: accuracies against chance, and paired differences between conditions.

Every condition (a number of shots, true or permuted labels) asks the same items, so that conditions are
compared item by item: d_i is the difference of two outcomes of item i, its mean is the difference of the
two accuracies, and the standard error is s(d) / sqrt(n), which is smaller than that of two independent
samples where the outcomes agree (Miller, arXiv 2411.00640). Their intervals are those of
`lmexp.evals.intervals`, and Wilson's of a share.

Items of one group share a rule, and may be right or wrong together. Where there are several groups and
one has several items, the clustered standard error takes the groups as the sample:
sqrt(G / (G - 1) sum_g (sum_{i in g} (d_i - mean))^2) / n.

Against chance, z counts standard errors of guessing: sum_i (outcome_i - c_i) / sqrt(sum_i c_i (1 - c_i)) with
c_i = 1 / choices of item i.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmexp.analysis.statistics.intervals import wilson_interval
from lmexp.evals.intervals import difference_interval

Rows = Sequence[Mapping[str, Any]]


def condition_metrics(rows: Rows, metric: str) -> dict[str, float]:
    """Return ``metric``, its ``/stderr``, ``/low`` and ``/high``, and what else one condition has, by name.

    `metric` is `acc` (then also ``acc/z``, acc_norm, acc_bytes and truncated) or `exact_match` (then also
    unreachable, where there are such items). The standard error is sqrt(p (1 - p) / (n - 1)), left out for a
    single item; the interval is Wilson's.
    """
    n = len(rows)
    outcome = _column(rows, metric)
    p = float(outcome.mean())
    low, high = wilson_interval(p, n)
    found = {metric: p, f"{metric}/low": low, f"{metric}/high": high}
    if n > 1:
        found[f"{metric}/stderr"] = math.sqrt(p * (1 - p) / (n - 1))
        if clusters := _clusters(rows):
            found[f"{metric}/clustered_stderr"] = clustered_stderr(outcome, clusters)
    if metric == "acc":
        by_chance = np.array([1 / len(row["choices"]) for row in rows])
        spread = math.sqrt(float((by_chance * (1 - by_chance)).sum()))
        if spread > 0:
            found["acc/z"] = float((outcome - by_chance).sum()) / spread
        found |= {name: float(_column(rows, name).mean()) for name in ("acc_norm", "acc_bytes")}
    elif unreachable := int(_column(rows, "unreachable").sum()):
        found["unreachable"] = unreachable
    found["truncated"] = int(_column(rows, "truncated").sum())
    return found


def task_metrics(conditions: Mapping[tuple[int, bool], Rows], metric: str) -> dict[str, float]:
    """Return the metrics of one task from its rows by (number of shots, whether labels are permuted).

    ``<metric>/<n>`` and what `condition_metrics` puts beside it; ``gain/<n>`` over zero shots where those
    are among the conditions; ``permuted_<metric>/<n>`` and ``permutation_loss/<n>``, what permuted labels
    cost against true ones.
    """
    found: dict[str, float] = {}
    for (n, permuted), rows in conditions.items():
        one = condition_metrics(rows, metric)
        if permuted:
            names = (metric, *(f"{metric}/{name}" for name in ("stderr", "low", "high")))
            kept = {key: value for key, value in one.items() if key in names}
            found |= {_key(f"permuted_{key}", n): value for key, value in kept.items()}
            found |= difference_metrics(f"permutation_loss/{n}", conditions[n, False], rows, metric)
            continue
        found |= {_key(key, n): value for key, value in one.items()}
        if n and (0, False) in conditions:
            found |= difference_metrics(f"gain/{n}", rows, conditions[0, False], metric)
    return found


def chance(rows: Rows) -> float:
    """Return the accuracy of a guess."""
    return float(np.mean([1 / len(row["choices"]) for row in rows]))


def difference_metrics(name: str, better: Rows, worse: Rows, metric: str) -> dict[str, float]:
    """Return the mean of `better` minus `worse`, paired by item, as `name` with its errors.

    Beside it stand the interval ``/low``, ``/high``, for two items or more ``/stderr``, and
    ``/clustered_stderr`` where items of several groups are clustered.
    """
    assert [row["id"] for row in better] == [row["id"] for row in worse]
    differences = _column(better, metric) - _column(worse, metric)
    mean, n = float(differences.mean()), len(differences)
    low, high = difference_interval(differences.tolist())
    found = {name: mean, f"{name}/low": low, f"{name}/high": high}
    if n > 1:
        found[f"{name}/stderr"] = float(differences.std(ddof=1)) / math.sqrt(n)
        if clusters := _clusters(better):
            found[f"{name}/clustered_stderr"] = clustered_stderr(differences, clusters)
    return found


def clustered_stderr(values: NDArray[np.float64], clusters: Sequence[str]) -> float:
    """Return the standard error of the mean of `values` where those of one cluster go together.

    With every value a cluster of its own it is s / sqrt(n).
    """
    names, places = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(places, weights=values - values.mean(), minlength=len(names))
    total = float((sums**2).sum()) * len(names) / (len(names) - 1)
    return math.sqrt(total) / len(values)


def _key(name: str, num_fewshot: int) -> str:
    """Return ``acc/0`` for `acc` and ``acc/0/stderr`` for `acc/stderr`."""
    head, *tail = name.split("/")
    return "/".join([head, str(num_fewshot), *tail])


def _column(rows: Rows, name: str) -> NDArray[np.float64]:
    return np.array([row[name] for row in rows], dtype=np.float64)


def _clusters(rows: Rows) -> list[str]:
    """Return the group of each row, or nothing where groups do not cluster items."""
    groups = [row["group"] for row in rows]
    return groups if 1 < len(set(groups)) < len(groups) else []
