"""Long curves made short without hiding anything: every bucket keeps its extremes.

A curve of more than `limit` points is cut into buckets of equal numbers of points, and of each bucket
the first, the least, the greatest and the last point stay. A spike of one step is therefore always
drawn. What is not finite cannot be drawn: it breaks the line, and is counted.
"""

import math
from collections.abc import Sequence

Point = tuple[float, float]


def thin(points: Sequence[Point], limit: int = 1000) -> list[Point]:
    """Return at most about `limit` of the points (x, y), in order, extremes included."""
    if len(points) <= limit:
        return list(points)
    buckets = max(1, limit // 4)
    kept: list[Point] = []
    for b in range(buckets):
        begin, end = b * len(points) // buckets, (b + 1) * len(points) // buckets
        ys = [points[i][1] for i in range(begin, end)]
        indices = {0, len(ys) - 1, ys.index(min(ys)), ys.index(max(ys))}
        kept += [points[begin + i] for i in sorted(indices)]
    return kept


def finite_parts(points: Sequence[Point]) -> list[list[Point]]:
    """Return the runs of consecutive points that are finite in both coordinates."""
    if points and math.isfinite(sum(x + y for x, y in points)):  # one bad point would show in the sum
        return [list(points)]
    parts: list[list[Point]] = [[]]
    for point in points:
        if math.isfinite(point[0]) and math.isfinite(point[1]):
            parts[-1].append(point)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def smoothed(points: Sequence[Point], width: int) -> list[Point]:
    """Return the mean of each `width` consecutive points, at the mean of their x."""
    means = []
    for begin in range(0, len(points) - width + 1, max(1, width // 2)):
        part = points[begin : begin + width]
        means.append((sum(x for x, _ in part) / width, sum(y for _, y in part) / width))
    return means
