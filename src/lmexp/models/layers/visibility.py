"""Where each token of an input stands, and what it may see.

A token sees itself and all before it. Three things narrow that: documents that each stand alone, rows of
unequal length whose state has columns without a token, and a mask that a caller gives, for branches.

Shapes: B batch, T time, S >= T columns of the state and the input together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lmexp.errors import DataError
from lmexp.models.cache import KVCache


@dataclass(frozen=True, slots=True)
class Visibility:
    """Where tokens stand and what they see."""

    times: slice | Tensor
    """Positions of the tokens: those of all rows, or ``[B, T]``."""

    mask: Tensor | None
    """``[B, T, S]``, True where a token may attend; None where it sees itself and all before it."""


def visibility(
    context_length: int,
    input_ids: Tensor,
    *,
    state: KVCache | None,
    lengths: Sequence[int] | None,
    documents: Tensor | None,
    positions: Tensor | None,
    mask: Tensor | None,
) -> Visibility:
    """Return what the tokens of ``input_ids [B, T]`` see, and make place for them in `state`.

    The arguments are those of `lmexp.models.network.BranchingNetwork.hidden_states`.
    Errors: `DataError` for a position outside of the context.
    """
    begin, num_new = (0 if state is None else state.width), input_ids.shape[1]
    if positions is None and documents is not None:
        assert state is None, "a state continues one document in each row"
        positions, mask = document_mask(documents)
    if positions is not None:
        end = _end(positions, context_length)
    else:
        end = num_new if state is None else state.end(num_new, lengths)
    if end > context_length:
        raise DataError(
            f"the model reads at most {context_length} tokens and was given {end}; "
            f"shorten the input or train with a larger model.context_length."
        )
    if state is not None:
        own_positions, own_mask = state.extend(num_new, lengths)
        if positions is None and own_positions is not None and own_mask is not None:
            positions, mask = own_positions.to(input_ids.device), own_mask.to(input_ids.device)
    return Visibility(slice(begin, begin + num_new) if positions is None else positions, mask)


def _end(positions: Tensor, context_length: int) -> int:
    """Return one past the last position, as far as it is not clear that the context holds it.

    A device other than the CPU is waited for only where there are more times than positions.
    """
    if positions.device.type != "cpu" and positions.shape[1] <= context_length:
        return 0
    return int(positions.max()) + 1 if positions.numel() else 0


def document_mask(document_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return positions ``[B, T]`` and mask ``[B, T, T]`` under which each document stands alone.

    ``document_ids [B, T]`` number the documents of a row, one after the other. Positions (int64) count
    from zero in each; the mask is True where a token may attend: to itself and what is before it in its
    own document.
    """
    times = torch.arange(document_ids.shape[1], device=document_ids.device)
    same = document_ids[:, :, None] == document_ids[:, None, :]
    return document_positions(document_ids), same & (times[:, None] >= times)


def document_positions(document_ids: Tensor) -> Tensor:
    """Return the places ``[B, T]`` (int64) of tokens in their own documents, which count from zero."""
    times = torch.arange(document_ids.shape[1], device=document_ids.device)
    begins = torch.ones_like(document_ids, dtype=torch.bool)
    begins[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    return times - (times * begins).cummax(dim=1).values
