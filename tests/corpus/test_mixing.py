"""Mixing: whole sources in order without weights, and shares of bytes that hold at every point with them."""

from hypothesis import given
from hypothesis import strategies as st

from lmexp.corpus.mixing import mix

SIZES = st.lists(st.integers(1, 50), min_size=1, max_size=60)
SOURCES = st.lists(st.tuples(SIZES, st.floats(0.01, 10)), min_size=1, max_size=4)


def run(sizes, weights):
    sources = {name: iter([(name, i, size) for i, size in enumerate(s)]) for name, s in sizes.items()}
    return [item for _, item in mix(sources, weights, lambda item: item[2])]


@given(st.lists(SIZES, min_size=1, max_size=3))
def test_without_weights_the_sources_follow_each_other_whole(lists):
    sizes = {f"s{i}": s for i, s in enumerate(lists)}
    expected = [(name, i, size) for name, s in sizes.items() for i, size in enumerate(s)]
    assert run(sizes, dict.fromkeys(sizes)) == expected


@given(SOURCES)
def test_bytes_stand_in_the_proportion_of_the_weights_at_every_point(sources):
    sizes = {f"s{i}": s for i, (s, _) in enumerate(sources)}
    weights = {f"s{i}": w for i, (_, w) in enumerate(sources)}
    total = sum(weights.values())
    taken, longest = dict.fromkeys(sizes, 0), max(map(max, sizes.values()))
    for name, _, size in run(sizes, weights):
        taken[name] += size
        everything = sum(taken.values())
        for other, count in taken.items():
            excess = count - weights[other] / total * everything
            assert -longest * len(sizes) - 1e-6 <= excess <= longest + 1e-6


@given(SOURCES)
def test_mixing_keeps_each_order_and_ends_where_the_next_source_is_used_up(sources):
    sizes = {f"s{i}": s for i, (s, _) in enumerate(sources)}
    weights = {f"s{i}": w for i, (_, w) in enumerate(sources)}
    found = run(sizes, weights)
    assert found == run(sizes, weights)
    for name, s in sizes.items():
        own = [item for item in found if item[0] == name]
        assert own == [(name, i, size) for i, size in enumerate(s)][: len(own)]
    counts = {name: sum(item[0] == name for item in found) for name in sizes}
    assert any(counts[name] == len(s) for name, s in sizes.items())


def test_three_to_one_by_hand():
    sizes, weights = {"a": [10] * 6, "b": [10] * 6}, {"a": 3, "b": 1}
    assert "".join(name for name, _, _ in run(sizes, weights)) == "abaaabaa"
