"""Upper bounds are printed as such everywhere, and settle only what they can."""

import re

import pytest

from lmexp.analysis.page import run_page
from lmexp.analysis.records import read_run
from lmexp.analysis.standing_section import in_a_sentence, standing_section
from lmexp.analysis.statistics.bits import is_bound
from lmexp.analysis.statistics.compared import compare
from lmexp.analysis.statistics.standing import standing_of
from lmexp.analysis.summary import summary
from lmexp.analysis.sweep import sweep_page
from lmexp.analysis.sweep_summary import sweep_summary
from lmexp.core.records.sweeps import find_sweep
from lmexp.verbs.ls import _figure_text, _figures

TEXT = "perplexity/test"


def figures(bits, *, bound):
    own = {"bits_per_byte": bits, "bits_per_byte/stderr": 0.01, "loss": 2 * bits, "perplexity": 8.5}
    own |= {"regret_bits_per_byte": 0.25, "regret_bits_per_byte/stderr": 0.01, "gzip_bits_per_byte": 1.0}
    return {f"{TEXT}/{name}": value for name, value in ({**own, "is_bound": 1} if bound else own).items()}


def swept(made, *settings):
    """Return a sweep over the architecture, of (name, bits, whether they are a bound)."""
    runs = [
        made.run(f"b-{name}", metrics=figures(bits, bound=bound), stages={"perplexity": {"label": name}})
        for name, bits, bound in settings
    ]
    made.sweep("b", [(r.name, [f"model={s[0]}"]) for r, s in zip(runs, settings, strict=True)], len(runs))
    return find_sweep(made.store, "b")


def test_a_figure_is_a_bound_where_its_text_was_measured_by_one():
    metrics = figures(1.5, bound=True)
    assert is_bound(metrics, f"{TEXT}/perplexity")
    assert not is_bound(metrics, f"{TEXT}/gzip_bits_per_byte")
    assert not is_bound(metrics, "perplexity/validation/loss")
    assert not is_bound(figures(1.5, bound=False), f"{TEXT}/perplexity")


def test_a_run_shows_a_bound_as_one_and_not_that_it_loses_to_a_compressor(made):
    run = made.run(metrics=figures(1.5, bound=True))
    text = summary(run)
    assert re.search(r"model +<= 1.500 ± 0.010 +<= 3.000 +<= 8.5", text)
    assert re.search(r"regret +<= 0.250", text)
    assert re.search(r"gzip +1.000", text)
    page = run_page(read_run(run))
    assert "&lt;= 1.500 ± 0.010" in page
    assert "the model, at most" in page
    assert "spends at most 0.250" in page
    for shown in (text, page):
        assert "fewer bits than the model" not in shown
    plain = made.run("plain", metrics=figures(1.5, bound=False))
    assert "<=" not in summary(plain)
    assert "fewer bits than the model" in summary(plain)
    (figure,) = _figures([run])
    assert _figure_text(figure) == "bits per byte <= 1.500"


@pytest.mark.parametrize(
    ("leader", "other", "is_settled"),
    [
        (("a", 1.0, True), ("b", 2.0, False), True),
        (("a", 1.0, False), ("b", 2.0, False), True),
        (("a", 1.0, False), ("b", 2.0, True), False),
        (("a", 1.0, True), ("b", 2.0, True), False),
    ],
)
def test_a_bound_is_better_than_what_lies_over_it_and_worse_than_nothing(made, leader, other, is_settled):
    sweep = swept(made, other, leader)
    compared = compare(sweep)
    standing = standing_of(compared)
    assert standing.leader == 1
    assert (standing.best == 1) is is_settled
    page, table = sweep_page(sweep), sweep_summary(sweep)
    section = str(standing_section(compared, standing))
    for name, bits, bound in (leader, other):
        assert (f"&lt;= {bits:.3f}" in section) is bound
        assert (f"&lt;= {bits:.3f} ± 0.010" in page) is bound
        assert bool(re.search(rf"b-{name} .*<= {bits:.3f}", table)) is bound
    if not is_settled:
        assert "cannot be told from model=b" in in_a_sentence(compared, standing)
    assert ("a bound: not told apart" in section) is other[2]
    assert ("one that is higher shows nothing" in section) is (leader[2] or other[2])
