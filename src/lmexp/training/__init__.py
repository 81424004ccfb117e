"""Training on Lightning: module, optimizers, schedules, checkpoints."""
