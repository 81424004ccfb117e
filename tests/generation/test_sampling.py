"""Filters and draws against distributions computed by hand, in plain Python."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmexp.errors import ConfigError, DataError
from lmexp.generation.config import SamplingConfig
from lmexp.generation.sampling import filtered_log_probs, sample

CRITICAL = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 5: 20.515, 6: 22.458, 7: 24.322}
"""Values that chi-square with so many degrees of freedom exceeds once in 1,000 times."""

LOGITS = [0.3, -1.2, 2.0, 0.3, 1.1, -0.4, 0.9, -3.0]

logit_lists = st.lists(st.floats(-20, 20), min_size=1, max_size=12)
temperatures = st.floats(0.2, 20)


def exact(logits, temperature, top_k, top_p):
    """Return token to probability, filtered in the order of the definition."""
    weights = {i: math.exp((x - max(logits)) / temperature) for i, x in enumerate(logits)}
    ranked = sorted(weights, key=lambda i: (-logits[i], i))[: top_k or len(logits)]
    total, reached, kept = math.fsum(weights[i] for i in ranked), 0.0, []
    for i in ranked:
        kept.append(i)
        reached += weights[i] / total
        if top_p is not None and reached >= top_p:
            break
    total = math.fsum(weights[i] for i in kept)
    return {i: weights[i] / total for i in kept}


def filtered(logits, **sampling):
    log_probs = filtered_log_probs(torch.tensor([logits], dtype=torch.float64), SamplingConfig(**sampling))
    return log_probs[0].exp().tolist()


def support(probs):
    return {i for i, p in enumerate(probs) if p > 0}


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 1.0, "top_k": None, "top_p": None},
        {"temperature": 0.8, "top_k": None, "top_p": None},
        {"temperature": 3.0, "top_k": None, "top_p": None},
        {"temperature": 1.0, "top_k": 4, "top_p": None},
        {"temperature": 1.0, "top_k": None, "top_p": 0.8},
        {"temperature": 1.5, "top_k": 6, "top_p": 0.7},
    ],
)
def test_draws_follow_the_exact_distribution_by_a_chi_square_test(sampling):
    expected = exact(LOGITS, **sampling)
    draws = 20_000
    log_probs = filtered_log_probs(torch.tensor([LOGITS]), SamplingConfig(**sampling))
    ids = sample(log_probs.expand(draws, -1), torch.Generator().manual_seed(0))
    counts = Counter(ids.tolist())
    assert counts.keys() <= expected.keys()
    assert min(expected.values()) * draws > 5  # or the statistic is not chi-square
    statistic = sum((counts[i] - p * draws) ** 2 / (p * draws) for i, p in expected.items())
    assert statistic < CRITICAL[len(expected) - 1]


def test_the_chi_square_test_sees_a_temperature_that_is_off_by_a_tenth():
    expected = exact(LOGITS, 1.0, None, None)
    log_probs = filtered_log_probs(torch.tensor([LOGITS]), SamplingConfig(temperature=1.1))
    counts = Counter(sample(log_probs.expand(20_000, -1), torch.Generator().manual_seed(0)).tolist())
    statistic = sum((counts[i] - p * 20_000) ** 2 / (p * 20_000) for i, p in expected.items())
    assert statistic > CRITICAL[7]


@given(logit_lists, temperatures, st.none() | st.integers(1, 15), st.none() | st.floats(0.01, 0.999))
@settings(max_examples=200, deadline=None)
def test_all_filters_together_give_the_distribution_of_the_definition(logits, temperature, top_k, top_p):
    probs = filtered(logits, temperature=temperature, top_k=top_k, top_p=top_p)
    expected = exact(logits, temperature, top_k, top_p)
    assume(top_p is None or not near_a_boundary(logits, temperature, top_k, top_p))
    assert probs == pytest.approx([expected.get(i, 0.0) for i in range(len(logits))], abs=1e-9)


def near_a_boundary(logits, temperature, top_k, top_p):
    """Return whether rounding decides how many tokens reach the mass."""
    reached = itertools.accumulate(exact(logits, temperature, top_k, None).values())
    return any(abs(mass - top_p) < 1e-9 for mass in reached)


@given(logit_lists, temperatures, st.integers(1, 15))
@settings(max_examples=100, deadline=None)
def test_top_k_keeps_k_of_the_most_likely_and_their_ratios(logits, temperature, top_k):
    probs, whole = (
        filtered(logits, temperature=temperature, top_k=top_k),
        filtered(logits, temperature=temperature),
    )
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))
    assert support(probs) <= set(ranked[:top_k])
    assert len(support(probs)) == min(top_k, len(support(whole)))
    assert sum(probs) == pytest.approx(1)
    kept = sum(whole[i] for i in ranked[:top_k])
    for i in support(probs):
        assert probs[i] == pytest.approx(whole[i] / kept)


@given(logit_lists, temperatures, st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_top_p_keeps_the_smallest_set_of_most_likely_tokens_that_reaches_p(logits, temperature, top_p):
    probs, whole = (
        filtered(logits, temperature=temperature, top_p=top_p),
        filtered(logits, temperature=temperature),
    )
    kept = sorted(support(probs), key=lambda i: (-logits[i], i))
    assert kept == sorted(support(whole), key=lambda i: (-logits[i], i))[: len(kept)]
    mass = math.fsum(whole[i] for i in kept)
    assert mass >= top_p - 1e-9
    assert top_p == 1 or mass - whole[kept[-1]] < top_p + 1e-9
    for i in kept:
        assert probs[i] == pytest.approx(whole[i] / mass)


def test_the_token_that_crosses_p_is_kept_and_the_next_is_not():
    logits = [math.log(p) for p in (0.15, 0.5, 0.05, 0.3)]
    for top_p, kept in [(0.3, {1}), (0.6, {1, 3}), (0.79, {1, 3}), (0.81, {0, 1, 3}), (0.96, {0, 1, 2, 3})]:
        assert support(filtered(logits, top_p=top_p)) == kept


def test_top_p_counts_what_top_k_and_temperature_leave():
    logits = [math.log(p) for p in (0.4, 0.2, 0.2, 0.2)]
    assert support(filtered(logits, top_p=0.6)) == {0, 1}  # 0.4, 0.6
    assert support(filtered(logits, top_k=2, top_p=0.6)) == {0}  # 0.4 of 0.6 is 2/3
    assert support(filtered(logits, temperature=0.5, top_p=0.6 - 0.05)) == {0}  # 0.16 of 0.28 is 0.57


def test_a_tie_keeps_the_lowest_ids():
    assert support(filtered([1.0, 2.0, 1.0, 1.0], top_k=2)) == {0, 1}
    assert support(filtered([1.0, 1.0, 1.0, 1.0], temperature=0.0)) == {0}
    assert support(filtered([1.0] * 4, top_p=0.5)) == {0, 1}


def test_temperature_goes_from_the_most_likely_token_to_a_uniform_draw():
    for temperature in (0.0, 5e-324, 1e-12):
        assert filtered(LOGITS, temperature=temperature) == [0, 0, 1, 0, 0, 0, 0, 0]
    for temperature in (1e9, 1e308):
        assert filtered(LOGITS, temperature=temperature) == pytest.approx([1 / 8] * 8)


def test_each_row_of_a_batch_is_filtered_by_itself():
    config = SamplingConfig(temperature=0.7, top_k=3, top_p=0.9)
    rows = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([filtered_log_probs(row[None], config) for row in rows])
    assert torch.equal(filtered_log_probs(rows, config), alone)


def test_a_seed_fixes_the_draws_and_leaves_the_global_random_state_alone():
    log_probs = filtered_log_probs(torch.zeros(50, 100), SamplingConfig())
    state = torch.get_rng_state()
    first, again, other = (sample(log_probs, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_of_a_diverged_model_are_refused_in_a_sentence(bad, temperature):
    with pytest.raises(DataError, match=r"logits are not finite.*diverged"):
        filtered([0.0, bad], temperature=temperature)


@pytest.mark.parametrize(
    ("sampling", "sentence"),
    [
        ({"temperature": -1}, r"temperature must be at least 0, was -1"),
        ({"temperature": float("inf")}, r"temperature must be a finite number"),
        ({"top_k": 0}, r"top_k must be at least 1, was 0"),
        ({"top_p": 0}, r"top_p must be greater than 0 and at most 1, was 0"),
        ({"top_p": 1.1}, r"top_p must be greater than 0 and at most 1, was 1\.1"),
        ({"max_new_tokens": 0}, r"max_new_tokens must be at least 1"),
        ({"seed": -1}, r"seed must be at least 0"),
    ],
)
def test_a_value_out_of_range_is_refused_in_a_sentence(sampling, sentence):
    with pytest.raises(ConfigError, match=sentence):
        SamplingConfig(**sampling)
