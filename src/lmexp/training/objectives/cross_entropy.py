"""The negative log-likelihood of labels under logits, in nats; labels of -100 do not count.

Half-precision logits are summed in fp32. Shapes: B batch, T time, V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn import functional

from lmexp.packing.samples import IGNORED_LABEL


def nll_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum, a scalar, for ``labels [B, T]`` under ``logits [B, T, V]``."""
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    return functional.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED_LABEL, reduction="sum"
    )


def nll_each(logits: Tensor, labels: Tensor) -> Tensor:
    """Return that of each label ``[B T]``, 0 for an ignored one."""
    return functional.cross_entropy(
        logits.flatten(0, -2).to(torch.promote_types(logits.dtype, torch.float32)),
        labels.flatten(),
        ignore_index=IGNORED_LABEL,
        reduction="none",
    )
