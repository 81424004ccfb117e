"""What a model can do is asked, and what it cannot do is said in a sentence."""

import pytest

from lmexp.errors import DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.generate import generate_ids
from lmexp.models.build import build_model
from lmexp.models.families import MODELS, NETWORKS, EncoderConfig
from lmexp.models.interface import require
from lmexp.scoring.scorer import scorer_of


def encoder():
    return build_model(EncoderConfig(context_length=8, num_layers=1, num_heads=2, d_model=8), 13)


def test_an_encoder_neither_writes_nor_scores_and_says_so():
    with pytest.raises(
        DataError, match=r"generation cannot use this model, of the family encoder: it gives no next"
    ):
        generate_ids(encoder(), [[1]], SamplingConfig(max_new_tokens=1), eos_token_id=0)
    with pytest.raises(DataError, match=r"perplexity cannot use this model, of the family encoder"):
        scorer_of(encoder(), batch_size=1, bos_token_id=0, purpose="perplexity")
    with pytest.raises(DataError, match=r"a sketch cannot use .*: it has no branches"):
        require(encoder(), ["branches"], "a sketch")


@pytest.mark.parametrize("kind", MODELS.kinds)
def test_each_family_says_what_it_can_do_before_it_is_built(kind):
    config = MODELS.kinds[kind]()
    assert config.can & {"next_token", "masked_token", "any_order"}
    assert config.label.split("-")[0] in {kind, "gpt"}
    assert config.size
    if kind in NETWORKS.kinds:
        network = build_model(config, 5)
        assert (network.family, network.can, network.context_length) == (kind, config.can, config.longest)


@pytest.mark.parametrize("kind", NETWORKS.kinds)
def test_every_parameter_has_a_role_and_matrices_know_their_inputs(kind):
    network = build_model(NETWORKS.kinds[kind](), 5)
    roles = network.roles()
    parameters = dict(network.named_parameters())
    assert roles.keys() == parameters.keys()
    for name, role in roles.items():
        assert (parameters[name].ndim < 2) == (role.kind == "vector"), name
        if role.kind in ("hidden", "head"):
            assert role.fan_in == parameters[name].shape[1], name
    assert {"embedding", "hidden"} <= {role.kind for role in roles.values()}
    inside = {id(p) for block in network.blocks for p in block.parameters()}
    assert not {name for name, p in parameters.items() if id(p) in inside and roles[name].kind == "embedding"}
