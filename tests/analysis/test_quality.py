import re

from lmexp.analysis.quality import bits_per_byte, headline_accuracy, quality_section, tasks


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


def test_plots_of_accuracies_speak_of_bars_where_they_have_some():
    metrics = {"e/t/acc/0": 0.2, "e/t/acc/4": 0.5, "e/t/items": 8}
    assert note(metrics) == ["8 items."]
    assert note({**metrics, "e/t/acc/4/stderr": 0.1}) == ["8 items. Bars are 95 % intervals."]
    del metrics["e/t/acc/4"]
    assert note(metrics) == ["8 items each."]
    assert note({**metrics, "e/t/acc/0/stderr": 0.1}) == ["8 items each. Bars are 95 % intervals."]


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
    assert task.acc == {0: (0.2, 0.02), 16: (0.7, None)}
    assert (task.permuted, task.chance, task.bigram) == ({16: (0.3, None)}, 0.1, None)
    page = quality_section(metrics)
    assert "permuted labels: 0.300 at worked examples before the item (shots) 16" in page
    assert "+50.0 (+40.2 to +59.8)" in page, "0.5 ± 1.96 x 0.05 in points"
    assert headline_accuracy([task]) == ("gain by 16 shots", "+50.0 points", "t")


def test_tasks_with_one_number_of_shots_share_a_plot():
    metrics = {
        "e/a/acc/0": 0.6,
        "e/b/acc/0": 0.8,
        "e/a/bigram_acc": 0.5,
        "e/a/chance": 0.5,
        "e/b/chance": 0.5,
    }
    page = quality_section(metrics)
    assert page.count("<figure") == 1
    assert "Accuracy with 0 shots" in page
    assert "a, bigram model: 0.500" in page
    assert "chance: 0.5" in page
    assert headline_accuracy(tasks(metrics)) == ("accuracy", "0.700", "mean of 2 tasks")


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
    assert headline_accuracy(tasks(metrics)) == ("gain by 4 shots", "+50.0 points", "t")


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
