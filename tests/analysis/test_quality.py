import re

import pytest

from lmexp.analysis.accuracies import headline_accuracy, tasks
from lmexp.analysis.quality import quality_section
from lmexp.analysis.statistics.bits import bits_per_byte
from lmexp.analysis.statistics.intervals import wilson_interval


def test_bits_per_byte_are_found_beside_what_compresses_the_same_text():
    metrics = {
        "p/test/bits_per_byte": 1.2,
        "p/test/bits_per_byte/stderr": 0.1,
        "p/test/xz_bits_per_byte": 1.9,
        "p/test/entropy_bits_per_byte": 1.1,
        "p/test/loss": 3.0,
        "q/validation/bits_per_byte": 1.3,
    }
    assert bits_per_byte(metrics) == {
        "p/test": {"": (1.2, 0.1), "xz": (1.9, None), "entropy": (1.1, None)},
        "q/validation": {"": (1.3, None)},
    }
    page = quality_section(metrics)
    assert "exact entropy of the source: 1.1" in page
    assert "the model, bits per byte: 1.200 ± 0.100" in page
    assert "xz -9e, bits per byte: 1.900" in page


def note(metrics: dict[str, float]) -> list[str]:
    """Return the sentences below the title of the one plot."""
    (caption,) = re.findall("<figcaption><h3>.*?</h3>(.*?)</figcaption>", quality_section(metrics))
    return re.findall("[^<>]+[.]", caption)


def test_a_plot_of_bits_per_byte_says_no_more_than_it_shows():
    alone = {"p/validation/bits_per_byte": 1.3}
    bar = {"p/validation/bits_per_byte/stderr": 0.1}
    beside = {"p/validation/xz_bits_per_byte": 1.9}
    source = {"p/validation/true_bits_per_byte": 1.2}
    bars = "Bars are 95 % intervals."
    assert note(alone) == []
    assert note(alone | bar) == [bars]
    assert note(alone | beside) == ["The model beside compressors on the same held-out text."]
    assert note(alone | source) == ["The model beside the source itself on the same held-out text."]
    both = "The model beside compressors and the source itself on the same held-out text."
    assert note(alone | bar | beside | source) == [f"{both} {bars}"]


def test_a_model_that_is_no_distribution_or_loses_infinitely_much_is_said_to():
    page = quality_section({"p/test/bits_per_byte": 0.1, "p/test/is_normalized": 0})
    assert "p/test: the model&#x27;s numbers do not sum to one" in page
    assert "sum to one" not in quality_section({"p/test/bits_per_byte": 0.1})
    zeros = {"p/test/zero_tokens": 3, "p/test/tokens": 1000, "p/test/rest_loss": 2.5}
    assert "3 of 1,000 tokens the probability 0" in quality_section(zeros)
    assert "the others lose 2.5000 nats each" in quality_section(zeros)


def test_plots_of_accuracies_speak_of_bars_where_they_have_some():
    metrics = {"e/t/acc/0": 0.2, "e/t/acc/4": 0.5}
    assert note(metrics) == []
    assert note({**metrics, "e/t/acc/4/stderr": 0.1}) == ["Bars are 95 % intervals."]
    assert note({**metrics, "e/t/items": 8}) == ["8 items. Bars are 95 % intervals."]
    del metrics["e/t/acc/4"]
    assert note(metrics) == []
    assert note({**metrics, "e/t/items": 8}) == ["8 items each. Bars are 95 % intervals."]


def test_plots_say_what_was_cut_and_left_out():
    metrics = {"e/t/acc/0": 0.2, "e/t/acc/4": 0.5, "e/t/items": 200, "e/t/truncated/0": 0, "e/t/dropped": 3}
    metrics |= {"e/t/truncated/4": 200, "e/t/unreachable/0": 2, "e/t/equal_choices": 1}
    said = (
        "200 of 200 prompts cut at 4 shots. 2 of 200 answers too long at 0 shots. 3 rows dropped. 1 with equ"
    )
    assert said in note(metrics)[0]
    single = {key: value for key, value in metrics.items() if not key.endswith("/4")} | {"e/u/acc/0": 0.5}
    assert "t: 2 of 200 answers too long at 0 shots, 3 rows dropped, 1 with equal choices." in note(single)[0]


def test_a_task_has_its_accuracies_by_number_of_shots():
    metrics = {
        "e/t/acc/0": 0.2,
        "e/t/acc/0/stderr": 0.02,
        "e/t/acc/16": 0.7,
        "e/t/acc_norm/0": 0.9,
        "e/t/permuted_acc/16": 0.3,
        "e/t/gain/16": 0.5,
        "e/t/gain/16/stderr": 0.05,
        "e/t/chance": 0.1,
    }
    (task,) = tasks(metrics)
    assert task.acc == {0: (0.2, pytest.approx((0.1608, 0.2392), abs=1e-4)), 16: (0.7, None)}
    assert (task.permuted, task.chance, task.baseline) == ({16: (0.3, None)}, 0.1, None)
    page = quality_section(metrics)
    assert "permuted labels: 0.300 at worked examples before the item (shots) 16" in page
    assert "+50.0 (+40.2 to +59.8)" in page, "0.5 ± 1.96 x 0.05 in points"
    assert headline_accuracy([task]) == (
        "gain by 16 shots",
        "+50.0 points",
        "t; 95 % interval +40.2 to +59.8",
    )


def test_tasks_with_one_number_of_shots_share_a_plot():
    metrics = {
        "e/a/acc/0": 0.6,
        "e/b/acc/0": 0.8,
        "e/a/baseline_acc": 0.5,
        "e/a/chance": 0.5,
        "e/b/chance": 0.5,
    }
    page = quality_section(metrics)
    assert page.count("<figure") == 1
    assert "Accuracy with 0 shots" in page
    assert "a, bigram model: 0.500" in page
    assert "chance: 0.5" in page
    assert headline_accuracy(tasks(metrics)) == ("accuracy", "0.700", "mean of 2 tasks")
    sure = headline_accuracy(tasks({**metrics, "e/a/items": 100, "e/b/items": 100}))
    assert sure == ("accuracy", "0.700", "mean of 2 tasks; 95 % interval 0.634 to 0.756")


def test_generated_answers_are_shown_as_such_and_recorded_intervals_as_they_are():
    metrics = {
        "e/t/exact_match/0": 0.2,
        "e/t/exact_match/4": 0.7,
        "e/t/permuted_exact_match/4": 0.3,
        "e/t/gain/4": 0.5,
        "e/t/gain/4/stderr": 0.05,
        "e/t/gain/4/low": 0.39,
        "e/t/gain/4/high": 0.61,
        "e/t/permutation_loss/4": 0.4,
    }
    page = quality_section(metrics)
    assert "Exact match by shots: t" in page
    assert "+50.0 (+39.0 to +61.0)" in page
    assert ">+40.0<" in page
    assert headline_accuracy(tasks(metrics)) == (
        "gain by 4 shots",
        "+50.0 points",
        "t; 95 % interval +39.0 to +61.0",
    )


def test_a_share_of_few_or_all_right_items_has_a_width_and_stays_within_zero_and_one():
    metrics = {"e/a/acc/0": 1.0, "e/a/acc/0/stderr": 0.0, "e/a/items": 2, "e/a/chance": 0.5}
    (task,) = tasks(metrics)
    assert task.acc == {0: (1.0, pytest.approx((0.3424, 1.0), abs=1e-4))}
    page = quality_section(metrics)
    assert "a, the model: 1.000 [0.342, 1.000]" in page
    assert "±" not in page
    for share, low, high in ((0.0, 0.0, 0.278), (0.1, 0.018, 0.404), (0.5, 0.237, 0.763)):
        (task,) = tasks({"e/a/acc/0": share, "e/a/items": 10})
        assert task.acc[0][1] == pytest.approx((low, high), abs=5e-4)


def test_clustered_items_count_as_fewer_than_they_are():
    metrics = {"e/a/acc/0": 0.5, "e/a/acc/0/stderr": 0.05, "e/a/items": 100}
    (plain,) = tasks(metrics)
    (clustered,) = tasks({**metrics, "e/a/acc/0/clustered_stderr": 0.1})
    assert clustered.acc[0][1] == pytest.approx(wilson_interval(0.5, 25))
    assert plain.acc[0][1] == pytest.approx(wilson_interval(0.5, 100))


def test_the_headline_is_the_mean_over_tasks_by_the_most_shots_whatever_they_came_to():
    metrics = {}
    for task, gains in {"a": (0.4, 0.1), "b": (0.1, 0.2)}.items():
        for shots, gain in zip((4, 8), gains, strict=True):
            head = f"e/{task}/gain/{shots}"
            metrics |= {f"e/{task}/acc/{shots}": 0.5 + gain, head: gain}
            metrics |= {f"{head}/low": gain - 0.03, f"{head}/high": gain + 0.04}
    found = headline_accuracy(tasks(metrics))
    assert found == ("gain by 8 shots", "+15.0 points", "mean of 2 tasks; 95 % interval +12.9 to +17.8")


def test_the_bar_of_bits_per_byte_is_students_over_the_documents():
    metrics = {"p/test/bits_per_byte": 1.2, "p/test/bits_per_byte/stderr": 0.1, "p/test/documents": 3}
    metrics |= {"p/test/xz_bits_per_byte": 0.1, "p/test/gzip_bits_per_byte": 4.0}  # they fix the axis
    few = quality_section(metrics)
    many = quality_section({**metrics, "p/test/documents": 10_000})
    widths = [float(high) - float(low) for low, high in (bar(page) for page in (few, many))]
    assert widths[0] / widths[1] == pytest.approx(4.3027 / 1.9602, rel=0.01)


def bar(page):
    return re.search(r'class="error c1" d="M([\d.]+) [\d.]+H([\d.]+)', page).groups()


def test_a_model_that_loses_to_a_compressor_is_said_to():
    metrics = {"p/test/bits_per_byte": 2.4, "p/test/xz_bits_per_byte": 1.9, "p/test/gzip_bits_per_byte": 2.1}
    assert "gzip -9 and xz -9e need fewer bits than the model" in quality_section(metrics)
    assert "xz -9e needs fewer bits than the model" in quality_section({**metrics, "p/test/bits_per_byte": 2})
    assert "fewer bits" not in quality_section({**metrics, "p/test/bits_per_byte": 1.8})


def test_regret_is_said_and_not_drawn_among_what_it_is_the_difference_of():
    metrics = {
        "p/test/bits_per_byte": 1.3,
        "p/test/true_bits_per_byte": 1.2,
        "p/test/regret_bits_per_byte": 0.1,
        "p/test/regret_bits_per_byte/stderr": 0.02,
    }
    page = quality_section(metrics)
    assert "The model spends 0.100 ± 0.020 bits per byte beyond the source itself." in page
    assert page.count("<circle") == 2


def test_nothing_measured_is_nothing_shown():
    assert quality_section({"corpus/documents": 3}) == ""
    assert headline_accuracy([]) is None
