"""What a sweep has varied, and the metric by which its points are compared.

The swept parameters are the keys of the overrides that differ between points. The headline metric is
bits per byte where a model was measured, otherwise accuracy, otherwise a loss, otherwise the last number
that every finished point has and that is not the same in all.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from lmexp.analysis.statistics.bits import unranked
from lmexp.core.records.runs import Run
from lmexp.core.records.sweeps import Sweep

_LOWER = ("bits_per_byte", "perplexity", "loss")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """The points of a sweep, side by side."""

    runs: tuple[Run, ...]
    settings: tuple[Mapping[str, str], ...]
    """Of each point, key to value of its overrides."""
    swept: tuple[str, ...]
    """Keys that differ between points, in the order of the command."""
    metric: str | None
    """The headline metric; None where nothing has been measured."""
    values: tuple[float | None, ...]
    """The headline metric of each point; None where it has no result."""
    unranked: tuple[str, ...]
    """Of each point why it is shown but of no rank; empty where it has one."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The swept keys that are no seed: points that agree in these repeat one setting."""
        return tuple(key for key in self.swept if not is_seed(key))


def compare(sweep: Sweep) -> Compared:
    """Put the points of a sweep side by side."""
    runs = tuple(point.run for point in sweep.points)
    settings = tuple(setting_of(point.overrides) for point in sweep.points)
    metric = headline_metric([run.metrics for run in runs])
    values = tuple(run.metrics.get(metric) if metric else None for run in runs)
    return Compared(
        runs=runs,
        settings=settings,
        swept=tuple(swept_keys(settings)),
        metric=metric,
        values=values,
        unranked=tuple(unranked(run.metrics, metric) if metric else "" for run in runs),
    )


def setting_of(overrides: Sequence[str]) -> dict[str, str]:
    """Return key to value of a point's overrides."""
    pairs = (override.lstrip("+~").partition("=") for override in overrides)
    return {key: value for key, _, value in pairs}


def swept_keys(settings: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the keys whose values differ between points, in order of their appearance."""
    keys = dict.fromkeys(key for setting in settings for key in setting)
    return [key for key in keys if len({setting.get(key) for setting in settings}) > 1]


def is_seed(key: str) -> bool:
    """Whether a swept key only repeats a setting."""
    return key.rpartition(".")[2] == "seed"


def headline_metric(metrics: Sequence[Mapping[str, float]]) -> str | None:
    """Return the metric by which points are compared: one that all of the most complete points have."""
    most = max((len(m) for m in metrics), default=0)
    full = [m for m in metrics if m and len(m) == most]
    if not full:
        return None
    common = [key for key in full[0] if all(key in m for m in full) and not key.endswith("/stderr")]
    bits = [key for key in common if _name(key) == "bits_per_byte"]
    preferred = (
        sorted(bits, key=lambda key: "/validation/" in key),  # a stage's evaluation before training's own
        [key for key in common if _is_accuracy(key)],
        [key for key in common if _name(key) == "loss"],
        [key for key in reversed(common) if len({m[key] for m in full}) > 1],
        common,
    )
    return next((keys[0] for keys in preferred if keys), None)


def best_point(metric: str | None, values: Sequence[float | None]) -> int | None:
    """Return the index of the best value: the least of losses, the greatest of accuracies, else None."""
    finite = {i: value for i, value in enumerate(values) if value is not None and math.isfinite(value)}
    if metric is None or not finite:
        return None
    if _name(metric).endswith(_LOWER):
        return min(finite, key=finite.__getitem__)
    return max(finite, key=finite.__getitem__) if _is_accuracy(metric) else None


def _is_accuracy(key: str) -> bool:
    """Whether a metric is a task's ``acc/<shots>`` or ``exact_match/<shots>``."""
    head, _, shots = key.rpartition("/")
    return shots.isdigit() and _name(head) in ("acc", "exact_match")


def _name(key: str) -> str:
    return key.rpartition("/")[2]
