"""Shared-prefix scoring: each pair as it would be scored alone, whatever its group shares."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmexp.models.build import build_model
from lmexp.models.families import NETWORKS
from lmexp.scoring.network import NetworkScorer
from lmexp.scoring.shared_prefix import SharedPrefixScorer
from lmexp.scoring.trees import arrange, groves, grow

CONTEXT_LENGTH = 12
EOS = 0
IDS = st.lists(st.integers(1, 4), max_size=14)
GROUPS = st.lists(
    st.tuples(IDS, st.lists(st.lists(st.integers(1, 4), max_size=5), min_size=1, max_size=4)),
    min_size=1,
    max_size=7,
)


@pytest.fixture(scope="module", params=["qwen3", "gpt2"])
def model(request):
    torch.set_num_threads(1)
    kv_heads = {"qwen3": {"num_kv_heads": 1}, "gpt2": {"num_heads": 4}}[request.param]
    shape = {"context_length": CONTEXT_LENGTH, "num_layers": 2, "num_heads": 2, "d_model": 16, **kv_heads}
    config = NETWORKS.kinds[request.param](**shape)
    model = build_model(config, 7, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return model


def of(kind, model, batch_size):
    return kind(model, context_length=CONTEXT_LENGTH, batch_size=batch_size, bos_token_id=EOS)


@given(GROUPS, st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_scores_are_those_of_the_plain_path(model, groups, batch_size):
    asked = [[(context, choice) for choice in choices] for context, choices in groups]
    found = of(SharedPrefixScorer, model, batch_size).score_groups(asked)
    plain = of(NetworkScorer, model, batch_size)
    assert [len(group) for group in found] == [len(group) for group in asked]
    for pairs, scores in zip(asked, found, strict=True):
        for one, expected in zip(scores, plain.score(pairs), strict=True):
            np.testing.assert_allclose(one, expected, atol=1e-5)


def test_a_group_that_shares_its_context_reads_it_once(model, monkeypatch):
    read = []
    original = type(model).hidden_states

    def count(self, input_ids, *args, **kwargs):
        read.append(input_ids.shape[1])
        return original(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(type(model), "hidden_states", count)
    group = [([1, 2, 3, 4, 1, 2], [choice, 2]) for choice in (1, 2, 3, 4)]
    of(SharedPrefixScorer, model, 4).score_groups([group])
    assert read == [6, 4]  # the context, then the first token of each choice


def test_a_group_that_shares_next_to_nothing_takes_the_plain_path(model, monkeypatch):
    scorer = of(SharedPrefixScorer, model, 4)
    monkeypatch.setattr(scorer, "_score_grove", lambda _grove, _trees: 1 / 0)
    groups = [[([], [1, 2, 3, 4, 1]), ([], [2, 2, 3, 4, 1])], [([1, 2], [3])]]
    plain = of(NetworkScorer, model, 4)
    for pairs, scores in zip(groups, scorer.score_groups(groups), strict=True):
        for one, expected in zip(scores, plain.score(pairs), strict=True):
            np.testing.assert_allclose(one, expected, atol=1e-5)


PREAMBLE = [1 + i % 4 for i in range(20)]


@pytest.fixture(scope="module")
def wide():
    torch.set_num_threads(1)
    shape = {"context_length": 48, "num_layers": 2, "num_heads": 2, "d_model": 16}
    model = build_model(NETWORKS.kinds["gpt2"](**shape), 7, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return model


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20),
            st.lists(st.integers(1, 4), max_size=30),
            st.lists(st.lists(st.integers(1, 4), max_size=5), min_size=1, max_size=4),
        ),
        min_size=2,
        max_size=9,
    ),
    st.none() | st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_scores_behind_a_preamble_are_those_of_the_plain_path(wide, items, batch_size):
    asked = [
        [([*PREAMBLE[: max(size, 17)], *own], choice) for choice in choices] for size, own, choices in items
    ]
    shared = SharedPrefixScorer(wide, context_length=48, batch_size=batch_size, bos_token_id=EOS)
    plain = NetworkScorer(wide, context_length=48, batch_size=1, bos_token_id=EOS)
    for pairs, scores in zip(asked, shared.score_groups(asked), strict=True):
        for one, expected in zip(scores, plain.score(pairs), strict=True):
            np.testing.assert_allclose(one, expected, atol=1e-5)


def test_a_preamble_is_read_once_for_all_items(wide, monkeypatch):
    read = []
    original = type(wide).hidden_states

    def count(self, input_ids, *args, **kwargs):
        read.append(tuple(input_ids.shape))
        return original(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(type(wide), "hidden_states", count)
    items = [[([*PREAMBLE, own, own], [choice, 2]) for choice in (1, 2, 3)] for own in (1, 2, 3, 4)]
    shared = SharedPrefixScorer(wide, context_length=48, batch_size=3, bos_token_id=EOS)
    shared.score_groups(items)
    assert read == [
        (1, 20),
        (3, 2),
        (3, 3),
        (1, 2),
        (1, 3),
    ]  # the preamble; trunks and choices of two batches


def test_groves_are_trees_that_begin_alike_up_to_the_first_prediction():
    def tree(*sequences, scored=1):
        return grow([np.array(ids) for ids in sequences], [scored] * len(sequences))

    trees = {
        3: tree([*PREAMBLE, 1, 2], [*PREAMBLE, 1, 3]),
        5: tree([*PREAMBLE, 2, 2], [*PREAMBLE, 2, 3]),
        6: tree([4, *PREAMBLE, 2]),
        8: tree([1, 2, 3]),
    }
    (grove,) = groves(trees)
    assert (grove.preamble.tolist(), grove.members) == (PREAMBLE, (3, 5))
    (earlier,) = groves({**trees, 9: tree([*PREAMBLE, 1, 4], scored=4)})
    assert (earlier.preamble.tolist(), earlier.members) == (PREAMBLE[:17], (3, 5, 9))


def test_a_tree_whose_mask_would_be_too_large_takes_the_plain_path(wide, monkeypatch):
    monkeypatch.setattr("lmexp.scoring.shared_prefix.MASK_CELLS", 3 * 25 - 1)
    asked = [[([*PREAMBLE, own, own], [choice, 2]) for choice in (1, 2, 3)] for own in (1, 2)]
    shared = SharedPrefixScorer(wide, context_length=48, batch_size=None, bos_token_id=EOS)
    monkeypatch.setattr(shared, "_score_grove", lambda _grove, _trees: 1 / 0)
    found = shared.score_groups(asked)
    np.testing.assert_allclose(found[1], shared.score(asked[1]), atol=1e-5)


def test_no_batch_has_more_cells_in_its_mask_than_the_bound(wide, monkeypatch):
    cells = []
    original = type(wide).hidden_states

    def count(self, input_ids, mask=None, **kwargs):
        cells.append(0 if mask is None else mask.numel())
        return original(self, input_ids, mask=mask, **kwargs)

    monkeypatch.setattr(type(wide), "hidden_states", count)
    asked = [[([*PREAMBLE, own, own], [choice, 2]) for choice in (1, 2, 3)] for own in (1, 2, 3, 4) * 5]
    for bound, most in ((2**24, 20 * 3 * 25), (160, 2 * 3 * 25)):
        monkeypatch.setattr("lmexp.scoring.shared_prefix.MASK_CELLS", bound)
        cells.clear()
        SharedPrefixScorer(wide, context_length=48, batch_size=None, bos_token_id=EOS).score_groups(asked)
        assert max(cells) == most


def test_a_trunk_goes_on_into_choices_that_begin_alike():
    sequences = [np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5, 6])]
    tree = grow(sequences, [2, 3])
    assert tree.trunk.tolist() == [1, 2, 3]
    assert [branch.tolist() for branch in tree.branches] == [[], [5]]
    assert [target.tolist() for target in tree.targets] == [[3, 4], [3, 5, 6]]
    assert [places.tolist() for places in tree.predictors] == [[1, 2], [1, 2, 3]]


def test_the_last_token_of_a_sequence_is_never_read(model):
    full = [1] * CONTEXT_LENGTH
    scorer = of(SharedPrefixScorer, model, 4)
    (found,) = scorer.score_groups([[(full, [2]), (full, [2])]])
    np.testing.assert_allclose(found, scorer.score([(full, [2]), (full, [2])]), atol=1e-5)
    assert len(grow([np.array([1, 2, 3]), np.array([1, 2, 3])], [1, 1]).trunk) == 2


def test_a_branch_sees_its_trunk_and_itself():
    trees = [
        grow([np.array([1, 2, 3, 4]), np.array([1, 2, 5, 6, 7])], [2, 3]),
        grow([np.array([1, 2, 2, 3]), np.array([1, 2, 2, 4])], [1, 1]),
    ]
    trunk_ids, branch_ids, positions, mask = arrange(trees, EOS)
    assert trunk_ids.tolist() == [[1, 2, 0], [1, 2, 2]]
    assert branch_ids.tolist() == [[3, 5, 6], [0, 0, 0]]
    assert positions[0].tolist() == [2, 2, 3]
    assert mask[0].astype(int).tolist() == [[1, 1, 0, 1, 0, 0], [1, 1, 0, 0, 1, 0], [1, 1, 0, 0, 1, 1]]
    assert mask.any(axis=2).all()
