"""How weights move: the optimizer, its learning rate over steps, and the average of weights."""

from lmexp.core.values.config import Config, option
from lmexp.errors import ConfigError


class OptimizerConfig(Config):
    """AdamW, Muon for the hidden matrices with AdamW for everything else, or plain gradient descent."""

    name: str = option(default="adamw", choices=("adamw", "muon", "sgd"))
    """`adamw` (Loshchilov and Hutter, arXiv 1711.05101), `muon` (Jordan et al., 2024) or `sgd`, which moves
    each weight by lr times its gradient."""

    lr: float = option(default=3e-3, gt=0, le=100)
    """Peak learning rate of the parameters that are not Muon's, the embedding apart."""

    embedding_lr: float | None = option(default=None, gt=0, le=100)
    """Peak learning rate of the embedding; null means `lr`. A tied head is the embedding."""

    betas: tuple[float, ...] = option(default=(0.9, 0.95), ge=0, lt=1)
    """AdamW's decay rates of the first and second moment; not read with `name: sgd`."""

    eps: float = option(default=1e-8, gt=0, lt=1)
    """AdamW's term in the denominator; not read with `name: sgd`."""

    weight_decay: float = option(default=0.1, ge=0, le=10)
    """Decoupled weight decay of matrices: a step multiplies a weight by 1 - lr * weight_decay. Vectors and
    embeddings are not decayed."""

    muon_lr: float = option(default=0.02, gt=0, le=10)
    """Peak learning rate of Muon's matrices; read only with `name: muon`."""

    muon_momentum: float = option(default=0.95, ge=0, lt=1)
    """Muon's momentum (Nesterov); read only with `name: muon`."""

    muon_ns_steps: int = option(default=5, ge=1, le=20)
    """Newton-Schulz iterations of one Muon step; read only with `name: muon`."""

    def check(self) -> None:
        if len(self.betas) != 2:
            raise ConfigError(f"betas must be two numbers, was {list(self.betas)}.")


class AveragingConfig(Config):
    """From which step on the weights of all steps are averaged; from none unless one is given."""

    from_step: int | None = option(default=None, ge=0)
    """Average the weights of all steps after this one."""

    patience: int | None = option(default=None, ge=0)
    """Begin at the first validation loss that is above one of those before the last `patience` ones
    (NT-AvSGD: Merity et al., arXiv 1708.02182)."""

    def check(self) -> None:
        if self.from_step is not None and self.patience is not None:
            raise ConfigError(
                f"averaging begins at from_step ({self.from_step}) or where patience ({self.patience}) says "
                f"so; set one of them to null."
            )

    @property
    def is_on(self) -> bool:
        """Whether any weights are to be averaged."""
        return self.from_step is not None or self.patience is not None


class ScheduleConfig(Config):
    """Learning rate over steps: linear warm-up, then cosine, warm-up-stable-decay or stairs."""

    name: str = option(default="cosine", choices=("cosine", "wsd", "stairs"))
    """`cosine` decays from the end of warm-up; `wsd` holds the peak, then decays linearly; `stairs` holds the
    peak up to `hold_steps`, then multiplies by `stair_ratio` at once and each `stair_steps` again."""

    warmup_steps: int = option(default=0, ge=0)
    """Steps of linear warm-up from lr / (warmup_steps + 1)."""

    decay_fraction: float = option(default=0.2, ge=0, le=1)
    """Share of max_steps, at the end, over which `wsd` decays."""

    min_lr_ratio: float = option(default=0.1, ge=0, le=1)
    """Learning rate at the last step as a share of the peak; of `stairs` the least one."""

    hold_steps: int = option(default=0, ge=0, absent_means=0)
    """Steps, warm-up included, before the first stair."""

    stair_steps: int = option(default=1000, ge=1, absent_means=1000)
    """Steps on a stair."""

    stair_ratio: float = option(default=0.5, gt=0, le=1, absent_means=0.5)
    """Learning rate on a stair as a share of that on the one before."""
