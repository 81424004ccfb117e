"""Whether weights are numbers: a NaN or an infinity spreads to all that is computed with it."""

from collections.abc import Mapping

from torch import Tensor


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds a NaN or an infinity; None where all are finite."""
    return next((name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())), None)
