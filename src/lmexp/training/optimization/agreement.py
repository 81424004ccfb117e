"""One dtype for Muon's arithmetic on all ranks."""

from collections.abc import Callable

import pytorch_lightning as pl

from lmexp.training.callbacks import QuietCallback
from lmexp.training.optimization.newton_schulz import fast_dtype, instructions_of_cpu


class AgreesOnDtype(QuietCallback):
    """Gives all ranks the dtype in which rank 0 orthogonalises for Muon, and notes it for the record.

    Ranks on unlike machines would round their updates otherwise, and their weights would drift apart.
    """

    def __init__(self, note: Callable[[str, str], None]) -> None:
        self._note = note

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Agree, where there is a group of Muon."""
        for group in trainer.optimizers[0].param_groups:
            if group["kind"] == "muon":
                dtype = group["ns_dtype"] = trainer.strategy.broadcast(group["ns_dtype"], src=0)
                is_fast = dtype == fast_dtype(pl_module.device.type, instructions_of_cpu())
                why = "that is fast here" if is_fast else "training began with it"
                self._note("newton_schulz", f"{dtype}, since {why}")
