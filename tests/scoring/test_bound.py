"""The bound of masked diffusion against all orders, told one token after the other."""

import itertools
import math

import numpy as np
import pytest
import torch

from lmexp.errors import DataError
from lmexp.evals.perplexity import evaluate_perplexity
from lmexp.models.build import build_model
from lmexp.models.families import DiffusionConfig
from lmexp.scoring.scorer import scorer_of

V, N, BOS = 4, 4, 0  # three tokens and the mask; tokens of a text
MASK = V - 1
TEXTS = list(itertools.product(range(3), repeat=N))


@pytest.fixture(scope="module")
def model():
    config = DiffusionConfig(context_length=N + 1, num_layers=1, num_heads=2, num_kv_heads=1, d_model=8)
    model = build_model(config, V, seed=1).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        parameter.normal_(std=0.7, generator=generator)
    return model


@pytest.fixture(scope="module")
def of_orders(model):
    """Of each text and each order, the nats of each token where it is told, [81, 24, 4]."""
    found = np.empty((len(TEXTS), math.factorial(N), N))
    for o, order in enumerate(itertools.permutations(range(N))):
        ids = torch.full((len(TEXTS), N + 1), MASK)
        ids[:, 0] = BOS
        for place in order:
            logits = model(ids)[:, place + 1].log_softmax(dim=-1)
            told = torch.tensor([text[place] for text in TEXTS])
            found[:, o, place] = -logits.gather(1, told[:, None])[:, 0]
            ids[:, place + 1] = told
    return found


def bounds(model, draws, pairs=tuple(((), text) for text in TEXTS), **how):
    return scorer_of(model, bos_token_id=BOS, draws=draws, **how).estimates(pairs)


def test_the_orders_together_are_a_distribution_and_the_mean_of_their_nats_bounds_it(of_orders):
    nats = of_orders.sum(axis=2)
    probabilities = np.exp(-nats).mean(axis=1)
    assert probabilities.sum() == pytest.approx(1, abs=1e-10)
    assert (-np.log(probabilities) < nats.mean(axis=1)).all()


def test_the_mean_over_orders_is_the_weighted_mean_over_what_is_hidden(model, of_orders):
    total = np.zeros(len(TEXTS))
    for k in range(1, N + 1):
        for places in itertools.combinations(range(N), k):
            ids = torch.tensor([[BOS, *text] for text in TEXTS])
            ids[:, [place + 1 for place in places]] = MASK
            logits = model(ids).log_softmax(dim=-1)
            for place in places:
                told = torch.tensor([text[place] for text in TEXTS])
                nats = -logits[:, place + 1].gather(1, told[:, None])[:, 0].numpy()
                total += nats / (k * math.comb(N, k))
    np.testing.assert_allclose(total, of_orders.sum(axis=2).mean(axis=1), rtol=1e-10)


@pytest.mark.parametrize("draws", [3, 64])
def test_the_estimate_is_right_in_the_mean_and_its_error_is_what_it_says(model, of_orders, draws):
    exact = of_orders.sum(axis=2).mean(axis=1)
    found = bounds(model, draws)
    errors = np.array([-one.log_probs.sum() for one in found]) - exact
    variances = np.array([one.variance for one in found])
    z = errors.sum() / math.sqrt(variances.sum())
    assert abs(z) < 3
    # rates that are spread evenly leave less than independent draws would, and not nothing
    assert 0.2 < (errors**2).sum() / variances.sum() < 1.2


def test_each_token_has_its_own_part_of_the_bound(model, of_orders):
    found = np.array([one.log_probs for one in bounds(model, 512)])
    np.testing.assert_allclose(-found, of_orders.mean(axis=1), atol=0.35)
    np.testing.assert_allclose(-found.mean(axis=0), of_orders.mean(axis=(0, 1)), atol=0.03)


def test_who_compares_likelihoods_is_given_no_bound(model):
    with pytest.raises(
        DataError, match=r"prompts cannot use this model, of the family diffusion: it gives no next token"
    ):
        scorer_of(model, bos_token_id=BOS, purpose="prompts")


@pytest.mark.parametrize("how", [{"batch_size": 1}, {"batch_size": 5}, {}])
def test_a_score_depends_on_no_other_pair_order_or_batch(model, how):
    pairs = [((), (1, 2)), ((2, 0), (1,)), ((), (0, 1, 2, 1)), ((1,), ()), ((1, 1, 1), (2, 0))]
    alone = [bounds(model, 8, [pair])[0].log_probs for pair in pairs]
    together = bounds(model, 8, pairs[::-1], **how)[::-1]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other.log_probs, rtol=1e-5)


def test_a_context_is_seen_and_costs_nothing(model):
    context, text = (2, 1), (0, 1)
    nats = []
    for order in ((2, 3), (3, 2)):
        ids = torch.tensor([[*context, MASK, MASK]])
        for place in order:
            nats.append(-float(model(ids)[0, place].log_softmax(dim=-1)[text[place - 2]]))
            ids[0, place] = text[place - 2]
    (found,) = bounds(model, 4000, [(context, text)])
    assert -found.log_probs.sum() == pytest.approx(sum(nats) / 2, abs=4 * math.sqrt(found.variance))


def test_what_does_not_fit_is_scored_in_pieces_that_see_what_stands_before(model):
    text = (1, 0, 2, 2, 1, 0, 1)
    (whole,) = bounds(model, 4, [((), text)])
    pieces = [((), text[:4]), (text[1:4], text[4:6]), (text[2:6], text[6:])]
    apart = [one.log_probs for one in bounds(model, 4, pieces)]
    np.testing.assert_allclose(whole.log_probs, np.concatenate(apart), rtol=1e-6)


def test_perplexity_of_a_bound_says_so_and_what_its_draws_leave_open(model):
    scorer = scorer_of(model, bos_token_id=BOS, draws=16)
    documents = [(str(i), text, N, 1) for i, text in enumerate(TEXTS[:9])]
    rows, metrics = evaluate_perplexity(scorer, documents, context_length=scorer.context_length)
    estimates = bounds(model, 16, [((), text) for text in TEXTS[:9]])
    assert [row["nll_sum"] for row in rows] == [-float(one.log_probs.sum()) for one in estimates]
    error = math.sqrt(sum(one.variance for one in estimates)) / (9 * N)
    assert metrics["is_bound"] == 1
    assert metrics["loss/draws_stderr"] == pytest.approx(error)
    assert metrics["bits_per_byte/draws_stderr"] == pytest.approx(error / math.log(2))
    assert scorer.context_length == N
