"""How a model is trained: on what, how it is optimized, and Lightning's Trainer arguments."""

from collections.abc import Mapping
from typing import ClassVar

from lmexp.core.values.config import Config, option
from lmexp.errors import ConfigError
from lmexp.models.config import ModelConfig
from lmexp.models.families import NETWORKS
from lmexp.training.objectives.config import OBJECTIVES, NextTokenConfig, ObjectiveConfig
from lmexp.training.optimization.config import AveragingConfig, OptimizerConfig, ScheduleConfig

SAMPLE_LENGTH = 256
"""Tokens of one training sample of a model that reads without a limit."""


class TrainerConfig(Config):
    """Arguments of Lightning's Trainer, spelled as Lightning spells them, and what is `ours`.

    The other fields and `refused` together are every argument of ``Trainer.__init__``; a test holds
    them against its signature. Fields marked placement do not enter the fingerprint.
    """

    ours: ClassVar[frozenset[str]] = frozenset({"compile"})
    """Fields that are no argument of Lightning's Trainer."""

    refused: ClassVar[Mapping[str, str]] = {
        "accumulate_grad_batches": "it is derived from global_batch_size, micro_batch_size and devices",
        "barebones": "it would drop checkpoints and metrics; every run keeps both",
        "callbacks": "configuration holds no objects",
        "default_root_dir": "the store decides where files go; set store=PATH",
        "detect_anomaly": "it is not wired into a stage",
        "enable_autolog_hparams": "the artifact's record holds the configuration",
        "enable_checkpointing": "checkpoints are always written; set checkpoint_every_steps",
        "enable_model_summary": "the artifact's record holds the parameter count",
        "enable_progress_bar": "the run prints its own progress line",
        "fast_dev_run": "use +debug=fast",
        "inference_mode": "validation always runs without gradients",
        "limit_predict_batches": "a pretraining stage runs no predict loop",
        "limit_test_batches": "a pretraining stage runs no test loop; see perplexity.*",
        "limit_train_batches": "training length is max_steps",
        "limit_val_batches": "set validation_samples",
        "logger": "the local record is the logger; see tracking.*",
        "max_epochs": "training length is max_steps",
        "max_time": "training length is max_steps; interrupt a run to stop it, and resume it later",
        "min_epochs": "training length is max_steps",
        "min_steps": "training length is max_steps",
        "model_registry": "the store keeps the models",
        "num_sanity_val_steps": "validation runs after steps alone; set validation_every_steps",
        "overfit_batches": "use +debug=overfit",
        "plugins": "configuration holds no objects",
        "profiler": "it is not wired into a stage",
        "reload_dataloaders_every_n_epochs": "batches are a pure function of the step",
        "strategy": "one rank trains alone and several train with DDP",
        "sync_batchnorm": "no model here has batch normalisation",
        "use_distributed_sampler": "batches are a pure function of the step",
        "check_val_every_n_epoch": "set validation_every_steps",
        "val_check_interval": "set validation_every_steps",
    }

    max_steps: int = option(ge=1, le=1_000_000_000)
    """Optimizer steps."""

    precision: str = option(default="32-true", choices=("64-true", "32-true", "bf16-mixed"))
    """Arithmetic of weights and activations, in Lightning's words. `bf16-mixed` is fast on GPUs and on
    CPUs with bf16 instructions (avx512_bf16, AMX); a CPU without them took 2.0 to 3.6 times as long."""

    gradient_clip_val: float | None = option(default=1.0, gt=0)
    """Largest gradient norm; null turns clipping off."""

    gradient_clip_algorithm: str = option(default="norm", choices=("norm",))
    """Gradients are clipped by their global norm."""

    devices: int = option(default=1, ge=1, le=1024, placement=True)
    """Processes on each node, one a device."""

    num_nodes: int = option(default=1, ge=1, le=1, placement=True)
    """Machines; one until an executor can place several."""

    accelerator: str = option(default="auto", choices=("auto", "cpu", "gpu", "cuda"), placement=True)
    """Kind of device; `auto` takes a GPU where one is visible."""

    deterministic: bool = option(default=False, placement=True)
    """Whether only deterministic kernels are allowed."""

    benchmark: bool = option(default=False, placement=True)
    """Whether cuDNN may time its kernels and choose."""

    log_every_n_steps: int = option(default=10, ge=1, placement=True)
    """Steps between two points of the training curve."""

    compile: str = option(default="auto", choices=("auto", "on", "off"), placement=True)
    """Whether torch.compile makes the model's blocks into one kernel each, for training alone; it takes
    about a minute and a C++ compiler. `auto` decides at the start by what it should save, see
    `rule`, and a resumed run goes on as it began."""


class PretrainConfig(Config):
    """Everything that the pretrain stage reads."""

    seed: int = option(default=0, ge=0, le=2**63 - 1)
    """Seeds the initial weights and the order of the data."""

    model: ModelConfig = option(default=NETWORKS.default(), one_of=NETWORKS)
    """The network's shape."""

    objective: ObjectiveConfig = option(
        default=OBJECTIVES.default(), one_of=OBJECTIVES, absent_means=NextTokenConfig()
    )
    """What the network is trained to do."""

    optimizer: OptimizerConfig = option(default=OptimizerConfig())
    """The optimizer."""

    schedule: ScheduleConfig = option(default=ScheduleConfig())
    """Learning rate over steps."""

    averaging: AveragingConfig = option(default=AveragingConfig(), absent_means=AveragingConfig())
    """Whether weights are averaged over steps. Where they are, validation reads the average, and it is what
    is published; training itself goes on from the weights of its last step."""

    trainer: TrainerConfig = option()
    """Lightning's Trainer arguments."""

    global_batch_size: int = option(default=32, ge=1)
    """Sequences in one optimizer step, over all devices."""

    micro_batch_size: int | None = option(default=None, ge=1, placement=True)
    """Sequences in one forward pass of one device; null means global_batch_size / devices."""

    sample_length: int | None = option(default=None, ge=2, le=1_048_576, absent_means=None)
    """Tokens of one training sample; null means model.context_length, and `SAMPLE_LENGTH` for a model that
    reads without a limit."""

    train_samples: int | None = option(default=None, ge=1, absent_means=None)
    """Train on the first so many samples of the train split only; null takes all of it."""

    document_masking: bool = option(default=False, absent_means=False)
    """Whether each document of a sample stands alone: its tokens see none of the documents before it,
    and its positions count from zero."""

    carry_state: bool = option(default=False, absent_means=False)
    """Whether each row of a batch reads its own part of the train split on from step to step, and hands its
    state on, though no gradient (truncated back-propagation through time)."""

    validation_every_steps: int | None = option(default=None, ge=1, absent_means=None)
    """Steps between two looks at the validation split, the last step included; null means none."""

    validation_samples: int = option(default=64, ge=1, absent_means=64)
    """Most samples of one look, evenly spread over the validation split."""

    publish: str = option(default="last", choices=("last", "best"), absent_means="last")
    """Which weights become the artifact: those of the last step, or of the lowest validation loss."""

    publish_steps: tuple[int, ...] = option(default=(), ge=1, absent_means=())
    """Steps whose weights are published as well, each as a model folder ``steps/<step>``."""

    checkpoint_every_steps: int = option(default=100, ge=1, placement=True)
    """Steps between two checkpoints from which a stopped run resumes."""

    keep_checkpoints: int = option(default=1, ge=1, placement=True)
    """Newest checkpoints that stay on disk while the stage runs."""

    def check(self) -> None:
        super().check()
        world_size = self.world_size
        if self.global_batch_size % world_size:
            raise ConfigError(
                f"global_batch_size ({self.global_batch_size}) must be a multiple of "
                f"trainer.devices x trainer.num_nodes ({world_size})."
            )
        per_rank = self.global_batch_size // world_size
        if self.micro_batch_size is not None and per_rank % self.micro_batch_size:
            raise ConfigError(
                f"micro_batch_size ({self.micro_batch_size}) must divide the {per_rank} sequences "
                f"that each of {world_size} devices takes of global_batch_size ({self.global_batch_size})."
            )
        if type(self.model) in NETWORKS.kinds.values() and not self.objective.requires <= self.model.can:
            name, architecture = OBJECTIVES.kind_of(self.objective), NETWORKS.kind_of(self.model)
            able = OBJECTIVES.kinds_where(lambda kind: kind.requires <= self.model.can)
            raise ConfigError(
                f"objective={name} is nothing that model.architecture={architecture} can be trained to do; "
                f"set objective={' or '.join(able)}."
            )
        if self.carry_state:
            self._check_carry()
        longest = self.model.longest
        if self.sample_length is not None and longest is not None and self.sample_length > longest:
            raise ConfigError(
                f"sample_length ({self.sample_length}) must be at most model.context_length ({longest})."
            )
        if self.schedule.warmup_steps > self.trainer.max_steps:
            raise ConfigError(
                f"schedule.warmup_steps ({self.schedule.warmup_steps}) must be at most "
                f"trainer.max_steps ({self.trainer.max_steps})."
            )
        self._check_published()

    def _check_published(self) -> None:
        if self.publish == "best" and self.validation_every_steps is None:
            raise ConfigError("publish=best needs the validation loss; set validation_every_steps.")
        if self.averaging.patience is not None and self.validation_every_steps is None:
            raise ConfigError("averaging.patience needs the validation loss; set validation_every_steps.")
        if list(self.publish_steps) != sorted(set(self.publish_steps)):
            raise ConfigError(f"publish_steps must increase, was {list(self.publish_steps)}.")
        if self.publish_steps and max(self.publish_steps) > self.trainer.max_steps:
            raise ConfigError(
                f"publish_steps ({max(self.publish_steps)}) must be at most "
                f"trainer.max_steps ({self.trainer.max_steps})."
            )

    def _check_carry(self) -> None:
        if "carries" not in self.model.can:
            raise ConfigError(
                f"carry_state hands on a state of one size, and {self.model.label} has none; set "
                f"carry_state=false, or choose a model that has, such as model=lstm."
            )
        if not isinstance(self.objective, NextTokenConfig):
            raise ConfigError("carry_state reads from left to right; set objective=next_token.")
        if self.document_masking:
            raise ConfigError(
                "carry_state reads on through the ends of documents, and document_masking stops at them; set "
                "one of them to false."
            )

    def revised(self) -> Mapping[str, int]:
        # 2: validation reads samples of the whole split, and not the first of it
        return {} if self.validation_every_steps is None else {"validation": 2}

    @property
    def resolved_sample_length(self) -> int:
        """Tokens of one training sample."""
        return self.sample_length or self.model.longest or SAMPLE_LENGTH

    @property
    def world_size(self) -> int:
        """Number of training processes."""
        return self.trainer.devices * self.trainer.num_nodes

    @property
    def resolved_micro_batch_size(self) -> int:
        """Sequences in one forward pass of one device."""
        return self.micro_batch_size or self.global_batch_size // self.world_size

    @property
    def accumulation(self) -> int:
        """Forward passes of one device in one optimizer step."""
        return self.global_batch_size // self.world_size // self.resolved_micro_batch_size
