"""The network of masked diffusion: the encoder's, without a probability of the mask."""

import torch

from lmexp.models.build import build_model
from lmexp.models.families import DiffusionConfig, EncoderConfig
from lmexp.models.folder import load_model, save_network

SHAPE = {"context_length": 12, "num_layers": 2, "num_heads": 3, "d_model": 12, "d_ff": 20}
V = 17


def test_it_computes_what_the_encoder_does_and_never_the_mask():
    model, encoder = (build_model(cls(**SHAPE), V, seed=1) for cls in (DiffusionConfig, EncoderConfig))
    ids = torch.randint(V, (3, 11), generator=torch.Generator().manual_seed(3))
    found, expected = model(ids), encoder(ids)
    assert torch.equal(found[..., :-1], expected[..., :-1])
    assert (found[..., -1] == -torch.inf).all()
    probabilities = found.softmax(dim=-1)
    torch.testing.assert_close(probabilities.sum(dim=-1), torch.ones(3, 11))
    assert (probabilities[..., model.mask_token_id] == 0).all()


def test_no_gradient_is_lost_or_infinite_for_want_of_the_mask():
    model = build_model(DiffusionConfig(**SHAPE), V, seed=1)
    model(torch.zeros(2, 5, dtype=torch.int64)).log_softmax(dim=-1)[..., 3].sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_it_says_that_its_nats_are_a_bound_and_is_saved_and_read_as_itself(tmp_path):
    model = build_model(DiffusionConfig(**SHAPE), V, seed=1)
    assert (model.is_bound, build_model(EncoderConfig(**SHAPE), V).is_bound) == (True, False)
    save_network(model, tmp_path, eos_token_id=0)
    again = load_model(tmp_path)
    ids = torch.arange(6)[None]
    assert (again.family, again.can) == ("diffusion", model.can)
    assert torch.equal(again(ids), model(ids))
