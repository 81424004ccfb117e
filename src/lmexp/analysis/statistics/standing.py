"""Which settings of a sweep can be told apart, and which one is best where one can be.

Points that differ in their seed alone are repetitions of one setting, and runs that share the artifact in
which the metric was measured are one repetition. The variance of a difference of two settings is the sum of

    documents   that of the paired differences over the documents or items that both were measured on,
                each averaged over its repetitions, or of the two standard errors where they are others
    seeds       s² (1/n + 1/n'), with s² the variance between repetitions, pooled over all settings

with degrees of freedom by Satterthwaite (1946). Two settings are told apart where zero lies outside of the
interval of Student's t whose coverage is 1 - 0.05 / (number of pairs of settings), so that at most one
sweep in twenty names a difference that is none, whichever setting happens to lead.

A setting whose metric is an upper bound may itself be anywhere below it: it can be told to be better than
another, where its bound is the lower one, and never to be worse.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from lmexp.analysis.statistics.bits import is_bound
from lmexp.analysis.statistics.compared import Compared, best_point
from lmexp.analysis.statistics.intervals import COVERAGE, Interval, t_quantile
from lmexp.analysis.statistics.paired import Units, mean_units, paired_variance, units_of
from lmexp.core.records.runs import Run

_MANY = 1e6
"""Degrees of freedom of a standard error whose number of units is not known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Points of a sweep that agree in everything but the seed."""

    values: tuple[str, ...]
    """Of the swept parameters that are no seed."""
    points: tuple[int, ...]
    """Places in the sweep of all its points."""
    observed: tuple[int, ...]
    """Places of one point for each repetition with a finite result."""
    mean: float | None
    """The headline metric over the repetitions."""
    interval: Interval | None
    """Of the mean, over seeds; None where no setting was repeated."""
    unranked: str = ""
    """Why the setting is shown but neither leads nor follows; empty where it has a rank."""
    is_bound: bool = False
    """Whether the metric is an upper bound of the models' own."""

    @property
    def sign(self) -> str:
        """What stands before the mean."""
        return "<= " if self.is_bound else ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a setting is from the leading one."""

    value: float
    interval: Interval | None
    """At the coverage that allows for all pairs; None where no error is known."""
    is_open: bool = False
    """Whether the setting's metric is a bound, so that its own may be better than the leader's."""

    @property
    def is_told_apart(self) -> bool:
        """Whether zero lies outside of the interval, and the setting's metric is its own."""
        return (
            not self.is_open and self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """The settings of a sweep, and how each stands to the one that leads."""

    settings: tuple[Setting, ...]
    leader: int | None
    """Index of the setting with the best mean; None where nothing is better or worse."""
    differences: tuple[Difference | None, ...]
    """Of each setting from the leader; None for the leader and for a setting without a result or a rank."""
    num_documents: int | None
    """On which differences were paired; None where they were not."""
    seed_degrees: int
    """Degrees of freedom of the spread over seeds; 0 where no setting was repeated."""

    @property
    def best(self) -> int | None:
        """Index of the leader, where every other setting with a result is told apart from it."""
        others = [d for d in self.differences if d is not None]
        return self.leader if others and all(d.is_told_apart for d in others) else None

    @property
    def num_pairs(self) -> int:
        """Pairs of settings with a result and a rank."""
        n = sum(setting.mean is not None and not setting.unranked for setting in self.settings)
        return n * (n - 1) // 2


def standing_of(compared: Compared) -> Standing:
    """Return how the settings of a sweep stand."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, setting in enumerate(compared.settings):
        groups.setdefault(tuple(setting.get(key, "") for key in compared.parameters), []).append(i)
    observed = [_observed(points, compared) for points in groups.values()]
    values = [[_value(i, compared) for i in repetitions] for repetitions in observed]
    variance, degrees = _pooled_variance(values)
    settings = tuple(
        Setting(
            values=name,
            points=tuple(points),
            observed=tuple(repetitions),
            mean=statistics.fmean(found) if found else None,
            interval=_over_seeds(found, variance, degrees),
            unranked=next((why for i in repetitions if (why := compared.unranked[i])), ""),
            is_bound=any(is_bound(compared.runs[i].metrics, str(compared.metric)) for i in repetitions),
        )
        for (name, points), repetitions, found in zip(groups.items(), observed, values, strict=True)
    )
    ranked = [None if setting.unranked else setting.mean for setting in settings]
    leader = best_point(compared.metric, ranked)
    standing = Standing(
        settings=settings,
        leader=leader,
        differences=(None,) * len(settings),
        num_documents=None,
        seed_degrees=degrees,
    )
    return standing if leader is None else _with_differences(standing, compared, variance)


def _with_differences(standing: Standing, compared: Compared, variance: float) -> Standing:
    assert standing.leader is not None, "there is a leader"
    settings, leader = standing.settings, standing.settings[standing.leader]
    coverage = 1 - (1 - COVERAGE) / max(1, standing.num_pairs)
    leading_units = _units(leader, compared)
    found: list[Difference | None] = []
    documents: set[int | None] = set()
    for setting in settings:
        if setting is leader or setting.mean is None or setting.unranked:
            found.append(None)
            continue
        parts = [variance * (1 / len(setting.observed) + 1 / len(leader.observed))]
        degrees = [float(standing.seed_degrees)]
        text, units = _text_variance(setting, leader, leading_units, compared)
        parts.append(text)
        degrees.append(units - 1 if units else _MANY)
        documents.add(units)
        assert leader.mean is not None, "the leader has a result"
        value = setting.mean - leader.mean
        interval = _around(value, parts, degrees, coverage)
        found.append(Difference(value=value, interval=interval, is_open=setting.is_bound))
    paired = documents.pop() if len(documents) == 1 else None
    return dataclasses.replace(standing, differences=tuple(found), num_documents=paired)


def _observed(points: Sequence[int], compared: Compared) -> list[int]:
    """Return one point for each artifact in which the metric was measured, of those with a finite result."""
    first: dict[str, int] = {}
    for i in points:
        value = compared.values[i]
        if value is not None and math.isfinite(value):
            first.setdefault(_measured_in(compared.runs[i], str(compared.metric)), i)
    return list(first.values())


def _measured_in(run: Run, metric: str) -> str:
    entry = run.stages.get(metric.partition("/")[0], {})
    return str(entry.get("fingerprint", run.name))


def _value(point: int, compared: Compared) -> float:
    value = compared.values[point]
    assert value is not None, "an observed point has a result"
    return value


def _pooled_variance(values: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return the variance within settings, pooled over all, and its degrees of freedom."""
    degrees = sum(len(found) - 1 for found in values if found)
    squares = math.fsum(
        (value - statistics.fmean(found)) ** 2 for found in values if len(found) > 1 for value in found
    )
    return (squares / degrees, degrees) if degrees else (0.0, 0)


def _over_seeds(values: Sequence[float], variance: float, degrees: int) -> Interval | None:
    if not values or not degrees:
        return None
    mean, margin = statistics.fmean(values), t_quantile(degrees) * math.sqrt(variance / len(values))
    return mean - margin, mean + margin


def _units(setting: Setting, compared: Compared) -> Units | None:
    found = [units_of(compared.runs[i], str(compared.metric)) for i in setting.observed]
    whole = [units for units in found if units is not None]
    return mean_units(whole) if whole and len(whole) == len(found) else None


def _text_variance(
    setting: Setting, leader: Setting, leading_units: Units | None, compared: Compared
) -> tuple[float, int | None]:
    """Return the variance of a difference over documents, and their number where they were paired."""
    own = _units(setting, compared) if leading_units is not None else None
    if own is not None and leading_units is not None:
        paired = paired_variance(own, leading_units)
        if paired is not None:
            return paired
    errors = [
        [compared.runs[i].metrics.get(f"{compared.metric}/stderr", 0.0) for i in one.observed]
        for one in (setting, leader)
    ]
    return sum(statistics.fmean(each) ** 2 for each in errors), None


def _around(
    value: float, variances: Sequence[float], degrees: Sequence[float], coverage: float
) -> Interval | None:
    """Return the interval of a value whose variance is a sum of estimates, each of its degrees of freedom."""
    known = [(v, d) for v, d in zip(variances, degrees, strict=True) if v > 0 and d > 0]
    total = sum(v for v, _ in known)
    if not total:
        return None
    margin = t_quantile(total**2 / sum(v**2 / d for v, d in known), coverage) * math.sqrt(total)
    return value - margin, value + margin
