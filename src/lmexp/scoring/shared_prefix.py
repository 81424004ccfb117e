"""Choices share a context, and items a preamble: score them together and read what they share once.

The sequences of a group (context and choice, each as the plain path would read it) are a tree
(`lmexp.scoring.trees`). A preamble is read once for all items, in a row of its own, into a state of keys and
values. Each batch of items takes copies of it, reads its trunks on from there, causally, and then all
branches of an item in one row, at positions that go on from its trunk, under a mask by which a branch sees
its trunk and itself. So each token is read once, at the position and with the past that it has in the plain
path, and scores are equal to rounding.

Items that share too little to gain by it take the plain path, as do choices that do not fit the model's
context, and models that take no mask. Three things bound a batch: the budget of tokens
(`lmexp.scoring.batches`), eight times as many columns of keys and values, preambles included, and
`MASK_CELLS`. An item whose own mask would be larger takes the plain path.

Legend: B items, C tokens of the preamble, P longest rest of a trunk, T longest row of branches, D d_model,
N scored positions.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lmexp.models.interface import Pair
from lmexp.models.network import BranchingNetwork
from lmexp.scoring.batches import Shape, batches
from lmexp.scoring.network import NetworkScorer, log_probs
from lmexp.scoring.trees import Grove, Tree, arrange, groves, grow

MIN_SAVED = 0.2
"""Least share of all inputs that sharing must save to be worth its mask."""

MASK_CELLS = 2**24
"""Most cells of a batch's mask, ``B x T x (C + P + T)``: 16 MiB, and 64 more where a kernel wants numbers."""

_COLUMNS = 8
"""Columns of keys and values that a batch may hold, in its budgets of tokens."""

_NOTHING = np.empty(0, dtype=np.int64)


class SharedPrefixScorer(NetworkScorer):
    """A `NetworkScorer` that reads what pairs and groups begin with once."""

    _model: BranchingNetwork

    def score_groups(self, groups: Sequence[Sequence[Pair]]) -> list[list[NDArray[np.float64]]]:
        """Return, for each pair of each group, the log-probabilities of its continuation, as `score`."""
        trees = {i: tree for i, group in enumerate(groups) if (tree := self._tree(group)) is not None}
        results: dict[int, list[NDArray[np.float64]]] = {}
        for grove in _worthwhile(trees):
            found = self._score_grove(grove, [trees[i] for i in grove.members])
            results |= dict(zip(grove.members, found, strict=True))
        alone = [i for i in range(len(groups)) if i not in results]
        plain = self.score([pair for i in alone for pair in groups[i]])
        ends = np.cumsum([0, *(len(groups[i]) for i in alone)]).tolist()
        results |= {i: plain[begin:end] for i, (begin, end) in zip(alone, pairwise(ends), strict=True)}
        return [results[i] for i in range(len(groups))]

    def _tree(self, group: Sequence[Pair]) -> Tree | None:
        """Return the tree of a group; None where a choice does not fit, or the mask would be too large."""
        lengths = [len(continuation) for _, continuation in group]
        if not 0 < min(lengths) <= max(lengths) <= (self.context_length or self._model.context_length):
            return None
        tree = grow([self._fit(context, continuation) for context, continuation in group], lengths)
        return tree if tree.width * (len(tree.trunk) + tree.width) <= MASK_CELLS else None

    @torch.inference_mode()
    def _score_grove(self, grove: Grove, trees: Sequence[Tree]) -> list[list[NDArray[np.float64]]]:
        results: list[list[NDArray[np.float64]]] = [[] for _ in trees]
        size = len(grove.preamble)

        def fits(rows: int, shape: Shape) -> bool:
            _, width = shape
            columns = size + sum(shape)
            return (
                self._fits(rows, shape)
                and rows * columns <= _COLUMNS * self._tokens
                and rows * width * columns <= MASK_CELLS
            )

        state = None
        if size:
            state = self._model.new_state(1)
            self._model.hidden_states(torch.from_numpy(grove.preamble[None]).to(self._device), state=state)
        for batch in batches([(len(tree.trunk) - size, tree.width) for tree in trees], fits):
            chosen = [trees[i] for i in batch]
            hidden = self._states(chosen, size, state)
            for i, scores in zip(batch, self._score_states(chosen, size, hidden), strict=True):
                results[i] = scores
        return results

    def _states(self, trees: Sequence[Tree], size: int, state: Any) -> torch.Tensor:
        """Return ``[B, P + T, D]``, trunks first, after the `size` tokens that `state` has read."""
        trunk_ids, branch_ids, positions, mask = arrange(trees, self._bos, size)
        own = self._model.new_state(len(trees)) if state is None else state.take([0] * len(trees))
        parts = []
        if trunk_ids.shape[1]:
            parts.append(self._model.hidden_states(torch.from_numpy(trunk_ids).to(self._device), state=own))
        if branch_ids.shape[1]:
            branches = self._model.hidden_states(
                torch.from_numpy(branch_ids).to(self._device),
                state=own,
                positions=torch.from_numpy(positions).to(self._device),
                mask=torch.from_numpy(mask).to(self._device),
            )
            parts.append(branches)
        return torch.cat(parts, dim=1)

    def _score_states(
        self, trees: Sequence[Tree], size: int, hidden: torch.Tensor
    ) -> list[list[NDArray[np.float64]]]:
        longest = max(len(tree.trunk) for tree in trees)
        rows, columns = [], []
        for i, tree in enumerate(trees):
            for places in tree.predictors:
                rows.append(np.full(len(places), i))
                own = np.where(places < len(tree.trunk), places, places - len(tree.trunk) + longest)
                columns.append(own - size)
        targets = [target for tree in trees for target in tree.targets]
        row, column, target = (
            torch.from_numpy(np.concatenate(part)).to(self._device) for part in (rows, columns, targets)
        )  # [N] each
        scores = log_probs(self._model, hidden[row, column], target)
        parts = iter(np.split(scores, np.cumsum([len(target) for target in targets])[:-1]))
        return [[next(parts) for _ in tree.targets] for tree in trees]


def _worthwhile(trees: dict[int, Tree]) -> Iterator[Grove]:
    """Yield the groves that gain by their preambles, and one without any of the trees that gain alone."""
    left = dict(trees)
    for grove in groves(trees):
        members = [trees[i] for i in grove.members]
        by_preamble = len(grove.preamble) * (len(members) - 1)
        saved = by_preamble + sum(tree.num_saved for tree in members)
        read = sum(tree.num_inputs for tree in members)
        if by_preamble >= MIN_SAVED * (read - saved + by_preamble):
            yield grove
            for i in grove.members:
                del left[i]
    alone = tuple(i for i, tree in left.items() if tree.num_saved >= MIN_SAVED * tree.num_inputs > 0)
    if alone:
        yield Grove(_NOTHING, alone)
