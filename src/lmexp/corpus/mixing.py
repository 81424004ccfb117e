"""How the documents of several sources follow each other.

Without weights the sources follow each other, whole. With weights the next document comes from the
source that lacks the most bytes of its share: where p is a source's share of the weights, b its
bytes so far and T those of all, from the source with the largest p T - b, the first of equals. A
source then never has more than one document too many, and the order is a pure function of the
documents' sizes. It ends where a source that should go on has no more, so that the shares hold.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def mix(
    sources: Mapping[str, Iterator[T]], weights: Mapping[str, float | None], size: Callable[[T], int]
) -> Iterator[tuple[str, T]]:
    """Yield (source name, item) of all sources, one after the other or by weight.

    `weights` holds a number for every source, or None for every one; `size` is an item's bytes.
    """
    if None in weights.values():
        for name, items in sources.items():
            for item in items:
                yield name, item
        return
    total = sum(float(weight) for weight in weights.values() if weight is not None)
    share = {name: float(weights[name] or 0) / total for name in sources}
    taken = dict.fromkeys(sources, 0)
    everything = 0
    while True:
        name = max(sources, key=lambda n: share[n] * everything - taken[n])
        try:
            item = next(sources[name])
        except StopIteration:
            return
        taken[name] += size(item)
        everything += size(item)
        yield name, item
