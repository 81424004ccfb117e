"""Figures of prompts: by hand, against simulation, and against tables of Student's t."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmexp.evals.prompt_metrics import (
    chance,
    clustered_stderr,
    condition_metrics,
    difference_metrics,
    task_metrics,
)

OUTCOMES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30)


def rows(outcomes, groups=None, choices=2):
    groups = groups or [""] * len(outcomes)
    return [
        {"id": str(i), "group": g, "choices": ["x"] * choices, "truncated": i == 0}
        | dict.fromkeys(("acc", "acc_norm", "acc_bytes", "exact_match"), o)
        | {"unreachable": i == 1}
        for i, (o, g) in enumerate(zip(outcomes, groups, strict=True))
    ]


def test_accuracy_has_its_standard_error_and_its_distance_from_chance():
    found = condition_metrics(rows([1, 1, 1, 0], choices=4), "acc")
    assert found["acc"] == 0.75
    assert found["acc/stderr"] == pytest.approx(math.sqrt(0.75 * 0.25 / 3))
    assert found["acc/z"] == pytest.approx((3 - 1) / math.sqrt(4 * 0.25 * 0.75))
    assert (found["acc_norm"], found["truncated"]) == (0.75, 1)
    assert chance(rows([1, 0], choices=4)) == 0.25


def test_one_item_has_no_standard_error():
    names = {"acc", "acc/low", "acc/high", "acc/z", "acc_norm", "acc_bytes", "truncated"}
    assert set(condition_metrics(rows([1]), "acc")) == names
    found = difference_metrics("gain/1", rows([1]), rows([0]), "acc")
    assert set(found) == {"gain/1", "gain/1/low", "gain/1/high"}


@given(OUTCOMES)
def test_a_paired_difference_is_the_difference_of_the_accuracies(outcomes):
    better, worse = rows([a for a, _ in outcomes]), rows([b for _, b in outcomes])
    found = difference_metrics("gain/2", better, worse, "acc")
    differences = [a - b for a, b in outcomes]
    assert found["gain/2"] == pytest.approx(statistics.fmean(differences))
    assert found["gain/2/stderr"] == pytest.approx(statistics.stdev(differences) / math.sqrt(len(outcomes)))
    assert found["gain/2/low"] <= found["gain/2"] <= found["gain/2/high"]


def test_outcomes_that_agree_make_the_paired_error_smaller_than_that_of_two_samples():
    better, worse = rows([1, 1, 1, 1, 0, 0, 0, 1]), rows([1, 1, 1, 0, 0, 0, 0, 0])
    paired = difference_metrics("gain/2", better, worse, "acc")["gain/2/stderr"]
    apart = math.hypot(*(condition_metrics(r, "acc")["acc/stderr"] for r in (better, worse)))
    assert paired < apart


def test_the_interval_covers_the_true_difference_95_times_in_100():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(800):
        easy = rng.random(40)
        better, worse = (rows((easy < p).astype(int).tolist()) for p in (0.7, 0.4))
        found = difference_metrics("gain/1", better, worse, "acc")
        covered += found["gain/1/low"] <= 0.3 <= found["gain/1/high"]
    assert 0.92 < covered / 800 < 0.98


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_clusters_of_one_give_the_ordinary_standard_error(values):
    expected = statistics.stdev(values) / math.sqrt(len(values))
    found = clustered_stderr(np.array(values), [str(i) for i in range(len(values))])
    assert found == pytest.approx(expected, abs=1e-12)


def test_items_that_go_together_count_as_one():
    values = np.repeat([0.0, 1.0, 1.0, 0.0, 1.0], 20)
    clusters = [str(i // 20) for i in range(100)]
    assert clustered_stderr(values, clusters) == pytest.approx(
        statistics.stdev([0, 1, 1, 0, 1]) / math.sqrt(5)
    )
    found = condition_metrics(rows(values.astype(int).tolist(), clusters), "acc")
    assert found["acc/clustered_stderr"] > 3 * found["acc/stderr"]
    gain = difference_metrics("gain/1", rows([1] * 100, clusters), rows(values.tolist(), clusters), "acc")
    assert gain["gain/1/clustered_stderr"] > gain["gain/1/stderr"]


@pytest.mark.parametrize("groups", [["a"] * 4, list("abcd")])
def test_one_group_and_groups_of_one_are_no_clusters(groups):
    assert "acc/clustered_stderr" not in condition_metrics(rows([1, 0, 1, 1], groups), "acc")


def test_items_that_could_never_be_right_are_counted_where_there_are_some():
    found = condition_metrics(rows([1, 0, 1]), "exact_match")
    assert (found["unreachable"], found["truncated"]) == (1, 1)
    assert "unreachable" not in condition_metrics(rows([1]), "exact_match")
    assert "exact_match/1/low" in task_metrics({(1, False): rows([1, 0])}, "exact_match")


def test_the_interval_of_a_gain_is_student_s_with_one_degree_of_freedom_less_than_items():
    found = difference_metrics("gain/1", rows([1, 1, 1, 0]), rows([0, 1, 1, 0]), "acc")
    assert found["gain/1/stderr"] == 0.25
    assert found["gain/1/low"] == pytest.approx(0.25 - 3.182446 * 0.25, abs=1e-6)
    assert found["gain/1/high"] == pytest.approx(1.0)  # 1.0456, and no difference of shares is above 1


def test_a_task_has_gains_over_zero_shots_and_losses_by_permuted_labels():
    zero, four, wrong = rows([0, 0, 1, 0]), rows([1, 1, 1, 0]), rows([1, 0, 0, 0])
    found = task_metrics({(4, False): four, (4, True): wrong, (0, False): zero}, "acc")
    assert (found["acc/0"], found["acc/4"], found["permuted_acc/4"]) == (0.25, 0.75, 0.25)
    assert found["gain/4"] == found["permutation_loss/4"] == 0.5
    assert {
        "acc/4/stderr",
        "acc/4/z",
        "permuted_acc/4/stderr",
        "gain/4/low",
        "permutation_loss/4/high",
    } <= set(found)
    assert "gain/0" not in found
    assert not any(key.startswith("gain") for key in task_metrics({(4, False): four}, "acc"))
