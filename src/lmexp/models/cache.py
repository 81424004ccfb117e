"""The keys and values of the tokens that a Transformer has read, so that it reads each one once.

Keys are kept after RoPE, at the positions that they were read at: tokens can be added at the end, and
nothing can be taken from the beginning. Rows may have read different numbers of tokens. They are then
still as wide as each other: a row's tokens stand in order, with columns between them that hold nothing
and are seen by nobody.

Room grows by doubling, so that a token costs no copy of all that were read before it.

Shapes: B rows, T new times, S columns in all, G key/value heads, K head_dim.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class LayerCache:
    """Keys and values of one layer: ``[B, G, room, K]``, of which the first S columns are held."""

    def __init__(self) -> None:
        self._held: tuple[Tensor, Tensor] | None = None
        self._width = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add ``k``, ``v`` ``[B, T, G, K]``; return all that is held, ``[B, S, G, K]``, the new ones last."""
        begin, end = self._width, self._width + k.shape[1]
        if self._held is None or self._held[0].shape[2] < end:
            # the first pass gets what it needs: most states are read once, to score a text
            self._grow(k, end if self._held is None else max(2 * begin, end, 64))
        assert self._held is not None
        for held, new in zip(self._held, (k, v), strict=True):
            held[:, :, begin:end] = new.transpose(1, 2)
        self._width = end
        keys, values = (held[:, :, :end].transpose(1, 2) for held in self._held)
        return keys, values

    def _grow(self, like: Tensor, room: int) -> None:
        batch, _, groups, width = like.shape
        old, self._held = (
            self._held,
            (
                like.new_zeros(batch, groups, room, width),
                like.new_zeros(batch, groups, room, width),
            ),
        )  # zeros: what nobody sees must still be finite
        if old is not None:
            for new, held in zip(self._held, old, strict=True):
                new[:, :, : self._width] = held[:, :, : self._width]

    def take(self, rows: Tensor) -> "LayerCache":
        """Return the cache of the rows ``[n]``."""
        taken = LayerCache()
        if self._held is not None:
            keys, values = self._held
            taken._held = (keys[rows.to(keys.device)], values[rows.to(values.device)])
            taken._width = self._width
        return taken

    @staticmethod
    def join(caches: Sequence["LayerCache"], width: int) -> "LayerCache":
        """Return one cache of all rows, with `width` columns."""
        joined = LayerCache()
        held = [cache._held for cache in caches if cache._held is not None]
        if held:
            room = max(keys.shape[2] for keys, _ in held)
            parts = [[_widened(part, room) for part in pair] for pair in held]
            joined._held = (torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]))
            joined._width = width
        return joined


def _widened(held: Tensor, room: int) -> Tensor:
    batch, groups, old, width = held.shape
    return held if old == room else torch.cat((held, held.new_zeros(batch, groups, room - old, width)), dim=2)


class KVCache:
    """One `LayerCache` for each layer of a model, and how far each row has read."""

    def __init__(self, num_layers: int, num_rows: int) -> None:
        self.layers = [LayerCache() for _ in range(num_layers)]
        self.lengths = torch.zeros(num_rows, dtype=torch.int64)
        """Tokens that each row has read, ``[B]``, on the CPU."""
        self.width = 0
        """Columns, S."""
        self._holds: Tensor | None = None  # [B, S], where a column holds a token; None where all do

    def end(self, num_new: int, lengths: Sequence[int] | None = None) -> int:
        """Return one past the last position of `num_new` more columns; see `extend`."""
        return int((self.lengths + (num_new if lengths is None else torch.tensor(lengths))).max())

    def extend(
        self, num_new: int, lengths: Sequence[int] | None = None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Make place for `num_new` columns, of each row the first `lengths` real, by default all.

        Returns the positions ``[B, T]`` of the new tokens, of which padding repeats the last, and what they
        may see, ``[B, T, S]``; None and None where rows are alike, and a token stands in its column.
        """
        new = torch.full_like(self.lengths, num_new) if lengths is None else torch.tensor(lengths)
        before, self.lengths = self.lengths, self.lengths + new
        old_width, self.width = self.width, self.width + num_new
        if self._holds is None and bool((new == num_new).all()):
            return None, None
        times = torch.arange(num_new)
        real = times < new[:, None]  # [B, T]
        held = self._holds
        if held is None:
            held = torch.ones(len(new), old_width, dtype=torch.bool)
        self._holds = torch.cat((held, real), dim=1)
        positions = before[:, None] + torch.minimum(times, (new - 1).clamp(min=0)[:, None])
        own = real[:, None, :] & (times[:, None] >= times)  # [B, T, T]
        own |= torch.eye(num_new, dtype=torch.bool)  # padding sees itself, since softmax needs something
        return positions, torch.cat((held[:, None, :].expand(-1, num_new, -1), own), dim=2)

    def take(self, rows: Sequence[int]) -> "KVCache":
        """Return the state of the rows with these numbers."""
        index = torch.tensor(rows, dtype=torch.int64)
        taken = KVCache(0, len(rows))
        taken.layers = [layer.take(index) for layer in self.layers]
        taken.lengths, taken.width = self.lengths[index], self.width
        taken._holds = None if self._holds is None else self._holds[index]
        return taken

    @classmethod
    def join(cls, states: Sequence["KVCache"]) -> "KVCache":
        """Return one state with the rows of all `states`, in order."""
        joined = cls(0, 0)
        joined.width = max(state.width for state in states)
        joined.lengths = torch.cat([state.lengths for state in states])
        parts = list(zip(*(state.layers for state in states), strict=True))
        joined.layers = [LayerCache.join(part, joined.width) for part in parts]
        if len({state.width for state in states}) > 1 or any(state._holds is not None for state in states):
            holds = torch.zeros(len(joined.lengths), joined.width, dtype=torch.bool)
            begin = 0
            for state in states:
                end = begin + len(state.lengths)
                holds[begin:end, : state.width] = True if state._holds is None else state._holds
                begin = end
            joined._holds = holds
        return joined
