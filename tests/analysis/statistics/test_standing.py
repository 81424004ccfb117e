import random
import statistics
from pathlib import Path

import pytest

from lmexp.analysis.standing_section import in_a_sentence, standing_section
from lmexp.analysis.statistics import standing
from lmexp.analysis.statistics.compared import Compared, compare
from lmexp.analysis.statistics.intervals import t_quantile
from lmexp.analysis.statistics.paired import Units
from lmexp.analysis.statistics.standing import standing_of
from lmexp.core.records.runs import Run
from lmexp.core.records.sweeps import find_sweep

METRIC = "perplexity/test/bits_per_byte"


def swept(made, name, points, **more):
    """Return a sweep as it is compared and its standing, of (overrides, metrics, extras of the stage)."""
    listed = []
    for i, (overrides, metrics, extras) in enumerate(points):
        run = made.run(f"{name}-{i}", metrics=metrics, stages={"perplexity": extras}, **more)
        listed.append((run.name, overrides))
    made.sweep(name, listed, num_points=len(listed))
    compared = compare(find_sweep(made.store, name))
    return compared, standing_of(compared)


def bits(value: float) -> dict[str, float]:
    return {METRIC: value}


def documents(nats) -> dict:
    rows = [{"id": str(i), "nll_sum": x, "tokens": 10, "bytes": 10} for i, x in enumerate(nats)]
    return {"rows": {"test.jsonl": rows}}


def test_points_that_differ_in_seed_alone_are_one_setting_with_its_mean_and_interval(made):
    points = [
        ([f"model.num_layers={depth}", f"seed={seed}"], bits(value), {})
        for depth, values in ((1, (2.0, 2.2)), (2, (1.0, 1.1)))
        for seed, value in enumerate(values)
    ]
    compared, standing = swept(made, "s", points)
    one, two = standing.settings
    assert (one.values, two.values) == (("1",), ("2",))
    assert [s.points for s in standing.settings] == [(0, 1), (2, 3)]
    assert (one.mean, two.mean) == (pytest.approx(2.1), pytest.approx(1.05))
    pooled = (statistics.variance([2.0, 2.2]) + statistics.variance([1.0, 1.1])) / 2
    margin = t_quantile(2) * (pooled / 2) ** 0.5
    assert one.interval == pytest.approx((2.1 - margin, 2.1 + margin))
    assert standing.seed_degrees == 2
    assert standing.leader == standing.best == 1
    assert standing.differences[0].value == pytest.approx(1.05)
    margin = t_quantile(2) * pooled**0.5
    assert standing.differences[0].interval == pytest.approx((1.05 - margin, 1.05 + margin))
    assert in_a_sentence(compared, standing).startswith("model.num_layers=2 is best")


def test_runs_that_share_the_artifact_in_which_they_were_measured_are_one_repetition(made):
    points = [(["model=a", f"seed={seed}"], bits(1.0), {"fingerprint": "a" * 64}) for seed in (1, 2, 3)] + [
        (["model=b", f"seed={seed}"], bits(1.5 + seed / 100), {}) for seed in (1, 2, 3)
    ]
    _, standing = swept(made, "s", points)
    assert [len(s.observed) for s in standing.settings] == [1, 3]
    assert [len(s.points) for s in standing.settings] == [3, 3]
    assert standing.seed_degrees == 2


def test_a_difference_far_below_the_spread_over_documents_is_seen_where_they_are_the_same(made):
    draw = random.Random(0)
    hard = [draw.gauss(20, 6) for _ in range(40)]
    better = [x - 0.2 + draw.gauss(0, 0.1) for x in hard]
    stderr = {f"{METRIC}/stderr": 0.13}
    points = [
        (["lr=1"], {**bits(statistics.fmean(hard) / 6.931), **stderr}, documents(hard)),
        (["lr=2"], {**bits(statistics.fmean(better) / 6.931), **stderr}, documents(better)),
    ]
    _, standing = swept(made, "s", points)
    assert standing.num_documents == 40
    assert standing.best == 1
    others = [(words, metrics, {}) for words, metrics, _ in points]
    _, unpaired = swept(made, "t", others)
    assert (unpaired.leader, unpaired.best, unpaired.num_documents) == (1, None, None)


def test_what_cannot_be_told_from_the_leading_setting_is_named(made):
    points = [
        ([f"lr={lr}", f"seed={seed}"], bits(value), {})
        for lr, values in ((1, (1.0, 1.2)), (2, (1.05, 1.16)), (3, (5.0, 5.1)))
        for seed, value in enumerate(values)
    ]
    compared, standing = swept(made, "s", points)
    assert standing.best is None
    sentence = in_a_sentence(compared, standing)
    assert (
        sentence == "None is best: lr=1 leads, and cannot be told from lr=2. It is better than the other 1."
    )


def test_nothing_is_best_where_nothing_is_known_of_the_error(made):
    _, standing = swept(made, "s", [(["lr=1"], bits(1.0), {}), (["lr=2"], bits(2.0), {})])
    assert (standing.leader, standing.best) == (0, None)
    assert standing.differences[1].interval is None


def test_accuracies_lead_where_they_are_greatest_and_sums_do_not_lead(made):
    metrics = [{"prompts/t/acc/0": 0.5}, {"prompts/t/acc/0": 0.9}]
    _, standing = swept(made, "s", [([f"a={i}"], m, {}) for i, m in enumerate(metrics)])
    assert standing.leader == 1
    _, standing = swept(made, "t", [([f"a={i}"], {"total/sum": float(i)}, {}) for i in (1, 2)])
    assert standing.leader is None
    assert standing.differences == (None, None)


def test_points_without_a_finite_result_are_no_repetitions(made):
    points = [
        (["lr=1", "seed=1"], bits(1.0), {}),
        (["lr=1", "seed=2"], bits(float("nan")), {}),
        (["lr=2", "seed=1"], {}, {}),
    ]
    compared, standing = swept(made, "s", points)
    assert [s.observed for s in standing.settings] == [(0,), ()]
    assert standing.settings[1].mean is None
    assert in_a_sentence(compared, standing) == "lr=1 alone has a result."


def test_a_setting_whose_text_is_lost_in_part_is_shown_and_not_ranked(made):
    lossy = {"p/test/lost_share": 0.0625, "p/test/lost_bytes": 5}
    metric = "p/test/bits_per_byte"

    def of(word, *others):
        return [(["tokenizer=word"], word, {}), *((["tokenizer=" + n], m, {}) for n, m in others)]

    points = of({metric: 0.5, **lossy}, ("byte", {metric: 2.0}), ("bpe", {metric: 1.5}))
    compared, standing = swept(made, "s", points)
    assert standing.leader == 2
    assert standing.differences[0] is None
    assert standing.num_pairs == 1
    assert "not ranked: the tokenizer loses 6.25% of the text" in standing_section(compared, standing)
    compared, standing = swept(made, "t", of({metric: 0.5, "p/test/lost_share": 0}, ("byte", {metric: 2.0})))
    assert standing.leader == 0, "nothing was lost of this text"
    compared, standing = swept(made, "u", of({metric: 0.5, **lossy}, ("character", {metric: 2.0, **lossy})))
    assert in_a_sentence(compared, standing) == f"No setting has a rank by {metric}."


@pytest.mark.parametrize("seeds", [1, 2])
def test_among_equal_settings_a_difference_is_named_in_one_sweep_of_twenty_at_most(seeds, monkeypatch):
    """Three settings of the same truth; documents are as hard for all, and seeds shift a model a little."""
    draw = random.Random(seeds)
    named, ids = 0, [str(i) for i in range(12)]
    for _ in range(150):
        hard = [draw.gauss(20, 6) for _ in ids]
        units = {}
        for name in (f"{lr} {seed}" for lr in "abc" for seed in range(seeds)):
            shift = draw.gauss(0, 0.3) if seeds > 1 else 0.0
            nats = {i: x + shift + draw.gauss(0, 1) for i, x in zip(ids, hard, strict=True)}
            units[name] = Units(numerators=nats, denominators=dict.fromkeys(ids, 10.0))
        monkeypatch.setattr(standing, "units_of", lambda run, _metric: units[run.name])  # noqa: B023
        compared = Compared(
            runs=tuple(Run(Path("nowhere"), {"run": name, "stages": {}, "metrics": {}}) for name in units),
            settings=tuple(dict(zip(("lr", "seed"), name.split(), strict=True)) for name in units),
            swept=("lr", "seed"),
            metric=METRIC,
            values=tuple(u.ratio for u in units.values()),
            unranked=("",) * len(units),
        )
        differences = standing_of(compared).differences
        assert sum(d is not None for d in differences) == 2
        named += any(d is not None and d.is_told_apart for d in differences)
    assert named <= 14, "150 sweeps at 5 % give 7.5; more than 14 of them with probability 0.01"
