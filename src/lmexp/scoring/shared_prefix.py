"""Choices of one item share its context: score them together and read what they share once.

The sequences of a group (context and choice, each as the plain path would read it) begin with the same
tokens, the trunk, and go on in branches. Trunks are read causally into a cache of keys and values, and
then all branches of an item in one row, at positions that go on from its trunk, under a mask by which a
branch sees its trunk and itself. So each token is read once, at the position and with the past that it
has in the plain path, and scores are equal to rounding.

Groups that share too little to gain by it take the plain path, as do choices that do not fit the model's
context, and models that take no mask.

Legend: B items, P longest trunk, T longest row of branches, V vocabulary, N scored positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lmexp.models.interface import Pair
from lmexp.models.network import BranchingNetwork
from lmexp.scoring.network import NetworkScorer

MIN_SAVED = 0.2
"""Least share of all inputs that sharing must save to be worth its mask."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """A trunk with branches, and where each sequence's scored tokens are predicted."""

    trunk: Ids
    branches: tuple[Ids, ...]
    """Inputs of each sequence after the trunk; its last token is a target alone."""
    targets: tuple[Ids, ...]
    """Continuation of each sequence."""
    predictors: tuple[Ids, ...]
    """Where each target is predicted: a place in the trunk, or behind its end in the row of branches."""


class SharedPrefixScorer(NetworkScorer):
    """A `NetworkScorer` that reads what the pairs of a group begin with once."""

    _model: BranchingNetwork

    def score_groups(self, groups: Sequence[Sequence[Pair]]) -> list[list[NDArray[np.float64]]]:
        """Return, for each pair of each group, the log-probabilities of its continuation, as `score`."""
        trees = [self._tree(group) for group in groups]
        alone = [pair for group, tree in zip(groups, trees, strict=True) if tree is None for pair in group]
        plain = iter(self.score(alone))
        shared = iter(self._score_trees([tree for tree in trees if tree is not None]))
        return [
            [next(plain) for _ in group] if tree is None else next(shared)
            for group, tree in zip(groups, trees, strict=True)
        ]

    def _tree(self, group: Sequence[Pair]) -> Tree | None:
        """Return the tree of a group that gains by one."""
        lengths = [len(continuation) for _, continuation in group]
        if not 0 < min(lengths) <= max(lengths) <= (self.context_length or self._model.context_length):
            return None
        sequences = [self._fit(context, continuation) for context, continuation in group]
        tree = grow(sequences, lengths)
        saved = (len(group) - 1) * len(tree.trunk)
        return tree if saved >= MIN_SAVED * sum(len(sequence) - 1 for sequence in sequences) > 0 else None

    def _score_trees(self, trees: Sequence[Tree]) -> list[list[NDArray[np.float64]]]:
        results: list[list[NDArray[np.float64]]] = [[] for _ in trees]
        order = sorted(range(len(trees)), key=lambda i: len(trees[i].trunk), reverse=True)
        for begin in range(0, len(order), self._batch_size):
            batch = order[begin : begin + self._batch_size]
            for i, scores in zip(batch, self._score_batch_of_trees([trees[i] for i in batch]), strict=True):
                results[i] = scores
        return results

    @torch.inference_mode()
    def _score_batch_of_trees(self, trees: Sequence[Tree]) -> list[list[NDArray[np.float64]]]:
        hidden = self._tree_states(trees)
        longest = max(len(tree.trunk) for tree in trees)
        rows, columns = [], []
        for i, tree in enumerate(trees):
            for places in tree.predictors:
                rows.append(np.full(len(places), i))
                columns.append(np.where(places < len(tree.trunk), places, places - len(tree.trunk) + longest))
        targets = [target for tree in trees for target in tree.targets]
        row, column, target = (
            torch.from_numpy(np.concatenate(part)).to(self._device) for part in (rows, columns, targets)
        )  # [N] each
        scores = self._log_probs(hidden[row, column], target)
        parts = iter(np.split(scores, np.cumsum([len(target) for target in targets])[:-1]))
        return [[next(parts) for _ in tree.targets] for tree in trees]

    def _tree_states(self, trees: Sequence[Tree]) -> torch.Tensor:
        """Return ``[B, P + T, D]``, those of the trunks first."""
        trunk_ids, branch_ids, positions, mask = arrange(trees, self._bos)
        state = self._model.new_state(len(trees))
        trunks = self._model.hidden_states(torch.from_numpy(trunk_ids).to(self._device), state=state)
        if not branch_ids.shape[1]:
            return trunks
        branches = self._model.hidden_states(
            torch.from_numpy(branch_ids).to(self._device),
            state=state,
            positions=torch.from_numpy(positions).to(self._device),
            mask=torch.from_numpy(mask).to(self._device),
        )
        return torch.cat((trunks, branches), dim=1)


def grow(sequences: Sequence[Ids], lengths: Sequence[int]) -> Tree:
    """Return the tree of `sequences`, whose last ``lengths[i]`` tokens each are scored."""
    shortest = min(len(sequence) for sequence in sequences) - 1  # a last token is no input
    heads = np.stack([sequence[:shortest] for sequence in sequences])
    differs = (heads != heads[0]).any(axis=0)
    size = int(differs.argmax()) if differs.any() else shortest
    branches = tuple(sequence[size:-1] for sequence in sequences)
    begins = np.cumsum([size, *(len(branch) for branch in branches)])[:-1]
    predictors = []
    for sequence, length, begin in zip(sequences, lengths, begins, strict=True):
        places = np.arange(len(sequence) - 1 - length, len(sequence) - 1)
        predictors.append(np.where(places < size, places, places - size + begin))
    targets = tuple(s[len(s) - n :] for s, n in zip(sequences, lengths, strict=True))
    return Tree(sequences[0][:size], branches, targets, tuple(predictors))


def arrange(trees: Sequence[Tree], padding: int) -> tuple[Ids, Ids, Ids, NDArray[np.bool_]]:
    """Return trunk ids ``[B, P]``, branch ids and positions ``[B, T]`` and their mask ``[B, T, P + T]``.

    Padding stands on the right. What it sees, and that it sees something, changes nothing else.
    """
    longest = max(len(tree.trunk) for tree in trees)
    width = max(sum(len(branch) for branch in tree.branches) for tree in trees)
    trunk_ids = np.full((len(trees), longest), padding, dtype=np.int64)
    branch_ids = np.full((len(trees), width), padding, dtype=np.int64)
    positions = np.zeros((len(trees), width), dtype=np.int64)
    mask = np.zeros((len(trees), width, longest + width), dtype=np.bool_)
    for i, tree in enumerate(trees):
        size, begin = len(tree.trunk), 0
        trunk_ids[i, :size] = tree.trunk
        mask[i, :, :size] = True
        for branch in tree.branches:
            end = begin + len(branch)
            branch_ids[i, begin:end] = branch
            positions[i, begin:end] = np.arange(size, size + len(branch))
            corner = np.tri(len(branch), dtype=np.bool_)
            mask[i, begin:end, longest + begin : longest + end] = corner
            begin = end
    return trunk_ids, branch_ids, positions, mask
