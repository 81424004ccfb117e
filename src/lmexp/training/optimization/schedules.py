"""The learning rate as a pure function of the step number, as a share of its peak.

Step s counts from zero. During warm-up the ratio is (s + 1) / (warmup_steps + 1); at step
`warmup_steps` it is one. Then, up to the last step, which gets `min_lr_ratio`:

- `cosine` follows half a cosine (Loshchilov and Hutter, arXiv 1608.03983);
- `wsd` holds one, then falls linearly over the last `decay_fraction` of max_steps
  (warm-up, stable, decay: Hu et al., arXiv 2404.06395).

Nothing here has state, so a resumed run needs none.
"""

import math

from lmexp.training.config import ScheduleConfig


def lr_ratio(config: ScheduleConfig, step: int, max_steps: int) -> float:
    """Return the learning rate of step `step` in 0 .. max_steps - 1, as a share of the peak.

    Where warm-up leaves no step to decay over, the peak is the end.
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    last = max_steps - 1
    if config.name == "cosine":
        start = config.warmup_steps
    else:
        start = max(config.warmup_steps, last - round(config.decay_fraction * max_steps))
    if last <= start or step <= start:
        return 1.0
    progress = min((step - start) / (last - start), 1.0)
    fall = (1 - math.cos(math.pi * progress)) / 2 if config.name == "cosine" else progress
    return 1.0 + (config.min_lr_ratio - 1.0) * fall
