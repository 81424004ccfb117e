"""Small networks and texts that the tests of several families share."""

import torch

from lmexp.models.build import build_model

V = 11
"""Ids of the texts and of the networks."""


def awake(config):
    """Return a network in fp64 whose every weight is random, also those that begin as zeros or ones."""
    model = build_model(config, V, seed=1).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return model


def some_ids(*shape):
    """Return the same random ids of a shape each time."""
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(3))
