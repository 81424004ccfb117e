"""A stage's curves as they are drawn, read from its ``metrics.jsonl``.

A long curve is reduced when it is read: to about a thousand points that keep its extremes, and to the
means of its neighbours. What a long file was reduced to is remembered in the store's cache under the
file's sha256, so that a run that only reuses its stages does not read millions of points again.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmexp.analysis.statistics.thin import Point, finite_parts, smoothed, thin
from lmexp.core.store.record import intact_file, read_record
from lmexp.core.values.files import read_lines
from lmexp.core.values.sealed import read_sealed, write_sealed

_NOT_CURVES = frozenset({"step", "time", "tokens_seen"})
_SMOOTH_FROM = 150
"""A curve of this many points gets the means of its neighbours beside its points."""
_REMEMBER_FROM_BYTES = 500_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity over steps."""

    points: Sequence[Point]
    """(step, value), thinned where there are many; what is not finite is among them."""
    means: Sequence[Point] = ()
    """The mean of each `width` consecutive points; empty for a short or a broken curve."""
    width: int = 0


def curve_of(points: Sequence[Point]) -> Curve:
    """Reduce all points of a curve to what is drawn."""
    parts = finite_parts(points)
    if len(parts) != 1 or len(parts[0]) != len(points) or len(points) < _SMOOTH_FROM:
        return Curve(points=list(points))
    width = max(5, len(points) // 60)
    return Curve(points=thin(points), means=smoothed(points, width), width=width)


def curves_of(artifact: Path, cache: Path) -> dict[str, Curve]:
    """Return the curves of a published artifact; none where it has none, or is gone.

    Errors: `VerificationError` where they are not as they were published.
    """
    file = intact_file(artifact, "metrics.jsonl")
    if file is None:
        return {}
    sha256 = read_record(artifact).data["files"][file.name]["sha256"]
    return read_curves(file, sha256=sha256, cache=cache)


def read_curves(path: Path, *, sha256: str | None = None, cache: Path | None = None) -> dict[str, Curve]:
    """Return the curve of each numeric key over its `step`; a key may lack at some steps.

    With the file's `sha256` and the store's `cache`, a long file is read once.
    """
    memory = cache / "curves" / f"{sha256}.json" if cache is not None and sha256 is not None else None
    try:
        memory = memory if path.stat().st_size >= _REMEMBER_FROM_BYTES else None
    except OSError:
        return {}
    if memory is not None:
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            return {key: _remembered(entry) for key, entry in read_sealed(memory).items()}
    found: dict[str, list[Point]] = {}
    for line in read_lines(path):
        step = line.get("step")
        if not isinstance(step, int | float):
            continue
        for key, value in line.items():
            if type(value) in (int, float) and key not in _NOT_CURVES:  # a bool is no number here
                found.setdefault(key, []).append((step, value))
    curves = {key: curve_of(points) for key, points in found.items()}
    if memory is not None:
        with contextlib.suppress(OSError, ValueError):  # a value that is not finite is not remembered
            memory.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(memory, {key: dataclasses.asdict(curve) for key, curve in curves.items()})
    return curves


def _remembered(entry: dict[str, Any]) -> Curve:
    points, means = ([(float(x), float(y)) for x, y in entry[name]] for name in ("points", "means"))
    return Curve(points=points, means=means, width=int(entry["width"]))
