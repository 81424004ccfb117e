"""Lightning's Trainer, built so that nothing but the configuration speaks.

Lightning fills every argument that it is not given from the environment (``PL_TRAINER_<NAME>``), and
adds callbacks that installed packages register. Either could end a training early, or change what it
computes, under the same fingerprint. So every argument is given here, those that `TrainerConfig` refuses
too, and a callback that is not ours is refused.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from lightning_fabric.utilities.warnings import PossibleUserWarning

from lmexp.errors import StageError
from lmexp.training import ranks
from lmexp.training.config import PretrainConfig


def build_trainer(config: PretrainConfig, directory: Path, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    """Return the Trainer of a configuration; it writes below `directory`.

    Errors: `StageError` where Lightning cannot have the accelerator, or a package adds to the callbacks.
    """
    arguments = config.trainer
    try:
        trainer = pl.Trainer(
            accelerator=arguments.accelerator,
            devices=arguments.devices,
            num_nodes=arguments.num_nodes,
            precision=arguments.precision,  # type: ignore[arg-type]
            max_steps=arguments.max_steps,
            gradient_clip_val=arguments.gradient_clip_val,
            gradient_clip_algorithm=arguments.gradient_clip_algorithm,
            deterministic=arguments.deterministic,
            benchmark=arguments.benchmark,
            log_every_n_steps=arguments.log_every_n_steps,
            accumulate_grad_batches=config.accumulation,
            strategy=ranks.strategy(config.world_size, arguments.accelerator),
            plugins=[ranks.cluster_environment(config.world_size)],
            callbacks=list(callbacks),
            default_root_dir=directory,
            # training ends after max_steps and for no other reason
            max_epochs=-1,
            min_epochs=None,
            min_steps=None,
            max_time=None,
            # all that there is, each batch once and in the order of `packing.batches`
            limit_train_batches=1.0,
            limit_val_batches=1.0,
            limit_test_batches=1.0,
            limit_predict_batches=1.0,
            overfit_batches=0.0,
            fast_dev_run=False,
            use_distributed_sampler=False,
            reload_dataloaders_every_n_epochs=0,
            # validation is a callback of ours
            val_check_interval=1.0,
            check_val_every_n_epoch=1,
            num_sanity_val_steps=0,
            inference_mode=True,
            # nothing beside the curve, the checkpoints and the record, which are ours
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_autolog_hparams=False,
            model_registry=None,
            profiler=None,
            detect_anomaly=False,
            barebones=False,
            sync_batchnorm=False,
        )
    except MisconfigurationException as error:
        raise StageError(
            f"Lightning cannot run trainer.accelerator={arguments.accelerator} with "
            f"trainer.devices={arguments.devices} on this machine: {str(error).splitlines()[0]}"
        ) from error
    all_callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    foreign = [callback for callback in all_callbacks if callback not in callbacks]
    if foreign:
        kind = type(foreign[0])
        raise StageError(
            f"an installed package adds the callback {kind.__module__}.{kind.__qualname__} to every training "
            f"by Lightning, and the configuration does not know what it does; run without that package."
        )
    # The worker process owns the signals. Without Lightning's handler its broadcast per
    # micro-batch, which also waits for the device, has nothing to tell (Lightning issue 21487).
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    return trainer


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's banners and tips off the terminal; warnings about real trouble stay."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")  # Lightning's own use
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
