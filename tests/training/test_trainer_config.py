"""TrainerConfig against Lightning's own signature."""

import dataclasses
import inspect

import pytorch_lightning as pl

from lmexp.training.config import TrainerConfig


def test_every_argument_of_lightnings_trainer_is_either_a_field_or_refused_and_ours_are_none():
    arguments = set(inspect.signature(pl.Trainer.__init__).parameters) - {"self"}
    fields = {field.name for field in dataclasses.fields(TrainerConfig)}
    assert (fields - TrainerConfig.ours) | set(TrainerConfig.refused) == arguments
    assert TrainerConfig.ours <= fields
    assert not TrainerConfig.ours & arguments
    assert not fields & set(TrainerConfig.refused)
