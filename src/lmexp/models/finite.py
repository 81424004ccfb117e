"""Whether weights are numbers: a NaN or an infinity spreads to all that is computed with it."""

from collections.abc import Mapping

import torch
from torch import Tensor


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds a NaN or an infinity; None where all are finite.

    It waits for the tensors' device once, which is one for all but scalars.
    """
    if not tensors:
        return None
    device = max(tensors.values(), key=Tensor.numel).device
    fine = torch.stack([tensor.detach().isfinite().all().to(device) for tensor in tensors.values()])
    return next((name for name, is_fine in zip(tensors, fine.tolist(), strict=True) if not is_fine), None)
