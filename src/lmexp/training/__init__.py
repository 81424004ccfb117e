"""Training on Lightning: module, optimizers, schedules, checkpoints."""

from lmexp.training.partly import import_partly

# utilities first: it and metric import each other, and only that order goes through
import_partly(
    "torchmetrics", {"rank_zero_warn": "utilities", "Metric": "metric", "MetricCollection": "collections"}
)
