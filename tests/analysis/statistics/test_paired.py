import math
import random
import statistics

import pytest

from lmexp.analysis.statistics.paired import Units, mean_units, paired_variance, units_of

ROWS = [
    {"id": "a", "nll_sum": 2.0, "tokens": 4, "bytes": 10},
    {"id": "b", "nll_sum": 3.0, "tokens": 2, "bytes": 5},
]


def units(numerators, denominators=None) -> Units:
    ids = [str(i) for i in range(len(numerators))]
    below = denominators or [1.0] * len(numerators)
    return Units(
        numerators=dict(zip(ids, numerators, strict=True)), denominators=dict(zip(ids, below, strict=True))
    )


def test_the_units_of_a_metric_give_the_metric(made):
    items = [{"id": "x", "acc": True, "other": None}, {"id": "y", "acc": 0}]
    stages = {
        "perplexity": {"rows": {"test.jsonl": ROWS}},
        "prompts": {"rows": {"t-4.jsonl": items, "t-4-permuted.jsonl": []}},
    }
    run = made.run(stages=stages)
    bits = units_of(run, "perplexity/test/bits_per_byte")
    assert bits.numerators == pytest.approx({"a": 2 / math.log(2), "b": 3 / math.log(2)})
    assert bits.denominators == {"a": 10, "b": 5}
    assert bits.ratio == pytest.approx(5 / math.log(2) / 15)
    assert units_of(run, "perplexity/test/loss").ratio == pytest.approx(5 / 6)
    assert units_of(run, "prompts/t/acc/4").ratio == 0.5
    for metric in (
        "perplexity/test/perplexity",
        "perplexity/validation/loss",
        "prompts/t/acc/0",
        "prompts/t/exact_match/4",
        "prompts/t/items",
        "nobody/test/loss",
        "perplexity/loss",
    ):
        assert units_of(run, metric) is None, metric


def test_the_variance_of_a_paired_difference_is_that_of_the_differences_where_denominators_are_equal():
    one, other = [1.0, 4.0, 2.0, 8.0], [1.5, 4.0, 3.0, 7.0]
    differences = [a - b for a, b in zip(one, other, strict=True)]
    variance, n = paired_variance(units(one), units(other))
    assert n == 4
    assert variance == pytest.approx(statistics.variance(differences) / 4)


def test_the_variance_of_a_difference_of_ratios_is_that_which_resampling_documents_gives():
    draw = random.Random(1)
    sizes = [draw.uniform(50, 400) for _ in range(300)]
    hard = [draw.gauss(1.5, 0.4) for _ in sizes]
    one = units([s * h for s, h in zip(sizes, hard, strict=True)], sizes)
    other = units([s * (h + draw.gauss(0.02, 0.05)) for s, h in zip(sizes, hard, strict=True)], sizes)
    drawn = []
    for _ in range(400):
        ids = draw.choices(list(one.numerators), k=300)
        ratios = [
            sum(u.numerators[i] for i in ids) / sum(u.denominators[i] for i in ids) for u in (one, other)
        ]
        drawn.append(ratios[1] - ratios[0])
    variance, _ = paired_variance(one, other)
    assert math.sqrt(variance) == pytest.approx(statistics.stdev(drawn), rel=0.12)


def test_other_documents_cannot_be_paired():
    assert paired_variance(units([1.0, 2.0]), units([1.0, 2.0, 3.0])) is None
    assert paired_variance(units([1.0]), units([2.0])) is None
    assert mean_units([units([1.0, 2.0]), units([1.0, 2.0, 3.0])]) is None


def test_the_mean_over_repetitions_is_taken_document_by_document():
    mean = mean_units([units([1.0, 2.0], [1, 1]), units([3.0, 8.0], [3, 1])])
    assert (mean.numerators, mean.denominators) == ({"0": 2.0, "1": 5.0}, {"0": 2.0, "1": 1.0})
