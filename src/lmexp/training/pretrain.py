"""Pretraining: from a token stream to a trained model, resumable at any checkpoint.

Lightning runs the loop, the precision and DDP. What it does each step beyond that is taken away:
logging, progress bars, sanity checks, samplers, signal handlers and the broadcast that its SIGTERM
handler needs. The data order, the learning rate and the initial weights are pure functions of
configuration and step, as is the noise of an objective, so that weights, optimizer state and the step
number are the whole state: a resumed run is bit-exact at equal placement, and equal to rounding
at another world size or micro-batch size.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lmexp.errors import DataError, StageError
from lmexp.models.build import build_model
from lmexp.models.network import CausalNetwork, Network
from lmexp.packing.batches import BatchOrder, LaneOrder, Order
from lmexp.packing.samples import Samples, StreamSamples
from lmexp.training import ranks
from lmexp.training.callbacks import AfterEachStep, Checkpoints, Curve, StopOnRequest
from lmexp.training.checkpoints import newest_checkpoint
from lmexp.training.compilation.compiled import Compiled, told_of_compilers
from lmexp.training.config import PretrainConfig
from lmexp.training.finite import check_state
from lmexp.training.flops import flops_per_token, peak_of, utilisation
from lmexp.training.garbage import CollectGarbage
from lmexp.training.module import PretrainModule
from lmexp.training.needs import check_lanes, too_few_samples
from lmexp.training.objectives.carry import Carry
from lmexp.training.objectives.micro_batches import MicroBatches
from lmexp.training.optimization.agreement import AgreesOnDtype
from lmexp.training.optimization.averaging import Averaging
from lmexp.training.snapshots import Snapshots, load_snapshot, snapshot_path
from lmexp.training.trainer import build_trainer, quiet_lightning
from lmexp.training.validation import HeldOut, Validation


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """What training leaves behind."""

    model: Network
    """The model, on the CPU, in the dtype that it was trained in; its weights are those that the
    configuration publishes."""

    metrics: dict[str, float]
    """`train/loss` (last point, nats per token), `tokens_per_second` (where a step was timed), `steps`,
    `tokens_seen`, `parameters`, `cpu_seconds` (all ranks, compilers and resumed runs included),
    `flops_per_token` and, where a step was timed and the devices' peak is known, `mfu`; see `flops`. With
    validation also `validation/loss` and `validation/bits_per_byte` of the published weights, and their
    `best_step` where the best are published. With averaging `averaged_steps`, how many steps' weights the
    average after the last step is of."""

    snapshots: Mapping[int, Path]
    """The weights of each of `publish_steps`, for `load_snapshot`."""

    stopped: bool
    """Whether training stopped on request before its last step."""

    world_size: int
    """Number of ranks that trained."""


def pretrain(
    config: PretrainConfig,
    *,
    samples: Samples,
    vocab_size: int,
    eos_token_id: int,
    held_out: HeldOut | None = None,
    checkpoints: Path,
    cache: Path,
    log: Callable[[dict[str, Any]], None],
    say: Callable[[str], None] = lambda _text: None,
    note: Callable[[str, str], None] = lambda _name, _choice: None,
    should_stop: Callable[[], bool],
) -> PretrainResult:
    """Train a fresh model, or go on from the newest checkpoint in the directory `checkpoints`.

    `eos_token_id` stands before each document. Every rank calls it. Rank 0 calls `log` with each point
    of the training curve, `say` with what is done before the first of them, `note` with what was chosen
    for the record, and asks `should_stop` after steps (each step if alone, about once a second among several
    ranks). `held_out` is needed where `validation_every_steps` is set. What a compiler makes is kept in
    `cache`, the store's, and beside `checkpoints` while it is made.

    Errors: `ConfigError` where it cannot compile and should; `DataError` for more `train_samples` than there
    are, or samples that no rows can read on through; `StageError` if the process group is not the
    configured one, the accelerator is missing, training ends early or the compiler fails; `Diverged` if
    loss, gradients, weights or optimizer stop being finite.
    """
    ranks.check_world_size(config.world_size)
    num_samples = config.train_samples or samples.num_samples
    if num_samples > samples.num_samples:
        raise DataError(too_few_samples(num_samples, samples.num_samples))
    order: Order = BatchOrder(num_samples, config.global_batch_size, seed=config.seed)
    objective = config.objective.make(
        vocab_size=vocab_size, eos_token_id=eos_token_id, documents=config.document_masking
    )
    model = build_model(config.model, vocab_size + config.objective.extra_ids, config.seed).train()
    if config.trainer.precision == "64-true":
        model.double()  # Lightning would restore fp64 weights into the fp32 ones and convert only then
    say(f"trains {model.num_parameters:,} parameters on {num_samples:,} samples")
    carry = None
    if config.carry_state:
        check_lanes(config, num_samples, in_rows=not isinstance(samples, StreamSamples))
        order = LaneOrder(num_samples, config.global_batch_size, seed=config.seed)
        carry = Carry(config, cast(CausalNetwork, model), order.steps_per_epoch)
    module = PretrainModule(config, model, objective, carry)
    start_step, resume_from = newest_checkpoint(checkpoints) or (0, None)
    validation = None
    if config.validation_every_steps is not None:
        assert held_out is not None, "validation needs what it reads"
        validation = Validation(config, held_out, objective)
    averaging = Averaging(config, validation)
    curve = Curve(config, log, None if validation is None else averaging.validate)
    stop = StopOnRequest(config, should_stop)
    snapshots = Snapshots(config, checkpoints, curve, averaging)
    saving = Checkpoints(config, checkpoints, curve, stop, snapshots.remove_unneeded)
    compiled = Compiled(
        config,
        resumes=resume_from is not None,
        cache=cache,
        private=checkpoints.with_name(f"compiled-{ranks.rank()}"),
        say=say,
        note=note,
    )
    with quiet_lightning(), told_of_compilers():
        acting = [compiled, averaging, curve, stop, snapshots, saving, CollectGarbage(config)]
        trainer = build_trainer(
            config, checkpoints, [*acting, AgreesOnDtype(note), AfterEachStep(config, acting)]
        )
        assert trainer.world_size == config.world_size, "Lightning must join the ranks that were started"
        batches = MicroBatches(
            samples,
            order,
            objective,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
            micro_batch_size=config.resolved_micro_batch_size,
            max_steps=config.trainer.max_steps,
            network=model,
        )
        trainer.fit(
            module,
            train_dataloaders=_Remaining(batches, first=start_step * config.accumulation),
            ckpt_path=resume_from,
            weights_only=True,
        )
    steps, rate = trainer.global_step, curve.tokens_per_second
    if steps != config.trainer.max_steps and not stop.stopped:
        raise StageError(
            f"training ended after {steps} of trainer.max_steps={config.trainer.max_steps} steps and nobody "
            f"asked it to stop; nothing is published, and the same command goes on from its checkpoint."
        )
    check_state(trainer, module, steps)
    validated: dict[str, float] = dict(curve.validated)
    if config.publish == "best" and not stop.stopped:
        load_snapshot(module.model, snapshots.best_path)
        validated = {**snapshots.best, "best_step": snapshots.best_step}
    elif not stop.stopped:
        averaging.apply(module.model)
    if config.averaging.is_on:
        validated["averaged_steps"] = averaging.num_steps
    per_token = flops_per_token(module.model, config.resolved_sample_length)
    mfu = utilisation(
        tokens_per_second=rate,
        flops_per_token=per_token,
        peak=peak_of(trainer.strategy.root_device, config.trainer.precision),
        world_size=trainer.world_size,
    )
    return PretrainResult(
        model=module.model.eval(),
        metrics={
            "train/loss": curve.last_loss,
            # a training that was killed after its last step and resumed has timed none
            **({} if math.isnan(rate) else {"tokens_per_second": rate}),
            "flops_per_token": per_token,
            **({} if mfu is None or math.isnan(mfu) else {"mfu": mfu}),
            "steps": steps,
            "tokens_seen": steps * curve.tokens_per_step,
            "parameters": module.model.num_parameters,
            "cpu_seconds": curve.cpu_seconds,
            **validated,
        },
        snapshots={step: snapshot_path(checkpoints, step) for step in config.publish_steps},
        stopped=stop.stopped,
        world_size=trainer.world_size,
    )


class _Remaining:
    """The micro-batches from `first` on, with the length of all of them.

    Lightning finds the end of training by comparing its count of all micro-batches with the length.
    """

    def __init__(self, batches: MicroBatches, first: int) -> None:
        self.batches = batches
        self.first = first

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.batches.__getitem__, range(self.first, len(self.batches)))
