"""Scorers: equal to one slow forward pass a pair, in the order given."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.models.families import GPTConfig
from lmexp.models.families.qwen3.network import GPT
from lmexp.models.network import CausalNetwork
from lmexp.scoring.network import NetworkScorer

CONTEXT_LENGTH = 8
EOS = 0
IDS = st.lists(st.integers(1, 10), max_size=14)
PAIRS = st.lists(
    st.tuples(IDS, st.lists(st.integers(1, 10), min_size=1, max_size=CONTEXT_LENGTH)), min_size=1, max_size=9
)


class Theirs(CausalNetwork):
    """A model of transformers."""

    blocks = ()

    def __init__(self, model):
        super().__init__(GPTConfig(context_length=CONTEXT_LENGTH), 11)
        self.model = model

    def new_state(self, num_rows):
        raise NotImplementedError

    def hidden_states(self, input_ids):
        assert input_ids.shape[1] <= CONTEXT_LENGTH
        return self.model.model(input_ids=input_ids).last_hidden_state

    def logits(self, hidden):
        return self.model.lm_head(hidden)

    def forward(self, input_ids):
        return self.logits(self.hidden_states(input_ids))


def scorer(model, batch_size=4):
    return NetworkScorer(model, context_length=CONTEXT_LENGTH, batch_size=batch_size, bos_token_id=EOS)


@pytest.fixture(scope="module")
def model():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.Qwen3Config(
        vocab_size=11, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    return Theirs(transformers.Qwen3ForCausalLM(config))


def naive(model, context, continuation):
    """One forward pass on exactly the tokens that fit, and the whole softmax."""
    tokens = [*(context or [EOS]), *continuation][-(CONTEXT_LENGTH + 1) :]
    with torch.no_grad():
        log_probs = torch.log_softmax(model(torch.tensor([tokens[:-1]]))[0], dim=-1)
    steps = range(len(tokens) - 1 - len(continuation), len(tokens) - 1)
    return [float(log_probs[t, tokens[t + 1]]) for t in steps]


@given(PAIRS, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_model_scores_every_pair_as_it_would_alone(model, pairs, batch_size):
    scores = scorer(model, batch_size).score(pairs)
    assert len(scores) == len(pairs)
    for (context, continuation), score in zip(pairs, scores, strict=True):
        np.testing.assert_allclose(score, naive(model, context, continuation), atol=2e-5)


@given(PAIRS)
@settings(max_examples=20, deadline=None)
def test_our_own_model_scores_the_same_with_its_head_on_few_positions(pairs):
    shape = GPTConfig(context_length=CONTEXT_LENGTH, num_layers=1, num_heads=2, num_kv_heads=1, d_model=8)
    ours = GPT(shape, 11, seed=1)
    torch.nn.init.normal_(ours.model.embed_tokens.weight)
    for (context, continuation), score in zip(pairs, scorer(ours, 4).score(pairs), strict=True):
        np.testing.assert_allclose(score, naive(ours, context, continuation), atol=2e-5)


@given(IDS, st.lists(st.integers(1, 10), min_size=CONTEXT_LENGTH + 1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_a_continuation_that_does_not_fit_is_scored_in_pieces_of_half_the_context(
    model, context, continuation
):
    (score,) = scorer(model, 2).score([(context, continuation)])
    expected = naive(model, context, continuation[:CONTEXT_LENGTH])
    half = CONTEXT_LENGTH // 2
    for begin in range(CONTEXT_LENGTH, len(continuation), half):
        before = [*context, *continuation[:begin]]
        expected += naive(model, before, continuation[begin : begin + half])
    np.testing.assert_allclose(score, expected, atol=2e-5)


def test_an_empty_continuation_scores_nothing_and_keeps_its_place(model):
    scores = scorer(model, 2).score([([1], []), ([], [2]), ([1], [])])
    assert [len(score) for score in scores] == [0, 1, 0]
