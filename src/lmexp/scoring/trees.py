"""What sequences have in common, as trees: a preamble, a trunk for each group, a branch for each sequence.

The sequences of a group begin with the same tokens, its trunk, and go on in branches. The trunks of many
groups begin with the same tokens, too, the worked examples and the description of a task: those of a grove
begin with its preamble. A token of a branch sees its trunk and the branch before itself.

Legend: B trees, C tokens of the preamble, P longest rest of a trunk, T longest row of branches.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SHORTEST_PREAMBLE = 16
"""Fewest tokens that are looked at together; groups whose trunks begin with other ones share nothing."""

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """A trunk with branches, and where each sequence's scored tokens are predicted."""

    trunk: Ids
    branches: tuple[Ids, ...]
    """Inputs of each sequence after the trunk; its last token is a target alone."""
    targets: tuple[Ids, ...]
    """Continuation of each sequence."""
    predictors: tuple[Ids, ...]
    """Where each target is predicted: a place in the trunk, or behind its end in the row of branches."""

    @cached_property
    def width(self) -> int:
        """Tokens of all branches."""
        return sum(len(branch) for branch in self.branches)

    @cached_property
    def num_inputs(self) -> int:
        """Tokens that would be read if each sequence were read alone."""
        return len(self.trunk) * len(self.branches) + self.width

    @property
    def num_saved(self) -> int:
        """Tokens of them that need not be read."""
        return len(self.trunk) * (len(self.branches) - 1)


@dataclass(frozen=True)
class Grove:
    """Trees whose trunks begin alike."""

    preamble: Ids
    """``[C]``, what all trunks begin with, as far as no token of it predicts a target."""
    members: tuple[int, ...]
    """Numbers of the trees."""


def grow(sequences: Sequence[Ids], lengths: Sequence[int]) -> Tree:
    """Return the tree of `sequences`, whose last ``lengths[i]`` tokens each are scored."""
    size = shared_size([sequence[:-1] for sequence in sequences])  # a last token is no input
    branches = tuple(sequence[size:-1] for sequence in sequences)
    begins = np.cumsum([size, *(len(branch) for branch in branches)])[:-1]
    predictors = []
    for sequence, length, begin in zip(sequences, lengths, begins, strict=True):
        places = np.arange(len(sequence) - 1 - length, len(sequence) - 1)
        predictors.append(np.where(places < size, places, places - size + begin))
    targets = tuple(s[len(s) - n :] for s, n in zip(sequences, lengths, strict=True))
    return Tree(sequences[0][:size], branches, targets, tuple(predictors))


def groves(trees: Mapping[int, Tree]) -> Iterator[Grove]:
    """Yield the groves of the numbered `trees`, of two trees at least; the others are in none."""
    beginnings: dict[bytes, list[int]] = {}
    for number, tree in trees.items():
        if len(tree.trunk) >= SHORTEST_PREAMBLE:
            beginnings.setdefault(tree.trunk[:SHORTEST_PREAMBLE].tobytes(), []).append(number)
    for members in beginnings.values():
        if len(members) > 1:
            first = min(int(places[0]) for number in members for places in trees[number].predictors)
            size = min(first, shared_size([trees[number].trunk for number in members]))
            if size:
                yield Grove(trees[members[0]].trunk[:size], tuple(members))


def shared_size(sequences: Sequence[Ids]) -> int:
    """Return how many tokens all `sequences` begin with alike."""
    size = min(len(sequence) for sequence in sequences)
    for sequence in sequences[1:]:
        differs = sequence[:size] != sequences[0][:size]
        if differs.any():
            size = int(differs.argmax())
    return size


def arrange(
    trees: Sequence[Tree], padding: int, preamble: int = 0
) -> tuple[Ids, Ids, Ids, NDArray[np.bool_]]:
    """Return ids ``[B, P]`` of trunks after the preamble, ids and positions ``[B, T]`` of branches, a mask.

    The mask, ``[B, T, C + P + T]``, is True where a branch may see. Padding stands on the right. What it
    sees, and that it sees something, changes nothing else.
    """
    longest = max(len(tree.trunk) for tree in trees)
    width = max(tree.width for tree in trees)
    trunk_ids = np.full((len(trees), longest - preamble), padding, dtype=np.int64)
    branch_ids = np.full((len(trees), width), padding, dtype=np.int64)
    positions = np.zeros((len(trees), width), dtype=np.int64)
    mask = np.zeros((len(trees), width, longest + width), dtype=np.bool_)
    for i, tree in enumerate(trees):
        size, begin = len(tree.trunk), 0
        trunk_ids[i, : size - preamble] = tree.trunk[preamble:]
        mask[i, :, :size] = True
        for branch in tree.branches:
            end = begin + len(branch)
            branch_ids[i, begin:end] = branch
            positions[i, begin:end] = np.arange(size, size + len(branch))
            corner = np.tri(len(branch), dtype=np.bool_)
            mask[i, begin:end, longest + begin : longest + end] = corner
            begin = end
    return trunk_ids, branch_ids, positions, mask
