"""The learning rate as a pure function of the step number, as a share of its peak.

Step s counts from zero. During warm-up the ratio is (s + 1) / (warmup_steps + 1); at step
`warmup_steps` it is one. Then, up to the last step, which gets `min_lr_ratio`:

- `cosine` follows half a cosine (Loshchilov and Hutter, arXiv 1608.03983);
- `wsd` holds one, then falls linearly over the last `decay_fraction` of max_steps
  (warm-up, stable, decay: Hu et al., arXiv 2404.06395);
- `stairs` holds one up to step h = `hold_steps`, and at step s >= h has
  `stair_ratio` ** (1 + (s - h) // `stair_steps`), but no less than `min_lr_ratio`, which its last step need
  not reach (as Zaremba et al., arXiv 1409.2329, who divide once an epoch).

Nothing here has state, so a resumed run needs none.
"""

import math

from lmexp.training.optimization.config import ScheduleConfig


def lr_ratio(config: ScheduleConfig, step: int, max_steps: int) -> float:
    """Return the learning rate of step `step` in 0 .. max_steps - 1, as a share of the peak.

    Where warm-up leaves no step to decay over, the peak is the end.
    """
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    if config.name == "stairs":
        stair = max(0, 1 + (step - config.hold_steps) // config.stair_steps)
        return max(config.min_lr_ratio, config.stair_ratio**stair)
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
