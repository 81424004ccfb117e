"""Pages of hand-made records, read as a browser reads them."""

import html.parser
import itertools
import re

import pytest

from lmexp.analysis.page import run_page
from lmexp.analysis.records import read_run
from lmexp.analysis.report import write_report, write_sweep_report
from lmexp.analysis.statistics.compared import best_point, headline_metric, swept_keys
from lmexp.core.records.sweeps import find_sweep

from .made import hostile, in_context, swept

VOID = {"meta", "link", "wbr"}


class Page(html.parser.HTMLParser):
    """Checks that elements close in order, and keeps what it saw."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data

    def ids(self) -> list[str]:
        return [a["id"] for _, a in self.tags if "id" in a]


@pytest.fixture(params=["in_context", "hostile", "empty", "sweep"])
def written(request, made):
    """The text of one page of each kind."""
    if request.param == "sweep":
        return write_sweep_report(find_sweep(made.store, swept(made))).read_text()
    if request.param == "empty":
        run = made.run(stages={"a": None}, status="running", finished=None)
    else:
        run = {"in_context": in_context, "hostile": hostile}[request.param](made)
    return write_report(run).read_text()


def test_a_page_is_whole_refers_to_nothing_outside_and_runs_nothing(written):
    page = Page(written)
    assert not {"script", "iframe", "object", "embed", "img", "form", "base"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style")
        ]
        href = attributes.get("href")
        assert (
            href is None
            or href == "data:,"
            or re.fullmatch(r"#[\w-]+|\.\./\.\./runs/[\w.-]+/report.html", href)
        )
    style = re.search(r"<style>(.*?)</style>", written, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy["content"]
    assert "script-src" not in policy["content"]


def test_a_page_can_be_read_by_those_who_do_not_see_it(written):
    page = Page(written)
    assert next(a for tag, a in page.tags if tag == "html")["lang"] == "en"
    assert len(page.ids()) == len(set(page.ids()))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), "no level is skipped"
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")
        if tag == "th":
            assert attributes.get("scope") in ("col", "row")
    targets = {a["href"][1:] for tag, a in page.tags if tag == "a" and a["href"].startswith("#")}
    assert targets <= set(page.ids())


def test_the_same_records_give_the_same_bytes(made):
    run = in_context(made)
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first
    name = swept(made)
    pages = [write_sweep_report(find_sweep(made.store, name)).read_bytes() for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_page_shows_what_its_run_has_led_to(made):
    text = " ".join(Page(run_page(read_run(in_context(made)))).text.split())
    for words in (
        "1.263 ± 0.018",
        "perplexity per token4.482cross-entropy 1.500 ± 0.020 nats per token",
        "exact entropy of the source: 1.181",
        "gain by 4 shots+50.0 points",
        "Accuracy by shots: primer_operator",
        "permuted labels",
        "2 ~ 3 = 5",
        "from the beginning of a document; temperature 0.8, seed 0",
        "Loss",
        "Learning rate",
        "Throughput",
        "Bits per byte: validation",
        "reused",
        "11 min 40 s",
        "model.num_layers48",
        'corpus.files[]["/a/b.txt"]',
        "python -m lmexp.run +experiment=made",
        "commit aaaaaaaaaaaa",
        "a processor",
        "2 more samples",
    ):
        assert words in text, words


def test_texts_with_markup_are_shown_as_they_are(made):
    page = Page(run_page(read_run(hostile(made))))
    assert page.text.count("<script>alert(1)</script>") >= 6
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_secrets_do_not_reach_a_page(made):
    written = run_page(read_run(hostile(made)))
    assert "hunter2" not in written
    assert "https://***@example.org/x" in written


def test_a_failed_run_shows_its_sentence_its_curve_and_what_was_not_reached(made):
    text = Page(run_page(read_run(hostile(made)))).text
    assert "This run failed." in text
    assert "not reached" in text
    assert "no longer in the store" in text
    assert "Curves of unended_" in text
    assert "1 point is not finite and not drawn." in text


def test_a_stage_that_nobody_knows_is_shown_with_its_numbers_and_curve(made):
    curve = [{"step": 1, "energy": 5.0}, {"step": 2, "energy": 4.0}]
    run = made.run(metrics={"anneal/energy": 4.0, "anneal/swaps": 17}, stages={"anneal": {"curve": curve}})
    text = " ".join(Page(run_page(read_run(run))).text.split())
    for words in ("energy4", "swaps17", "Curves of anneal", "anneal: 2 numbers"):
        assert words in text


@pytest.mark.parametrize("mfu", [{"pretrain/mfu": 0.4167}, {}], ids=["known", "unknown"])
def test_the_work_of_a_training_and_what_it_chose_by_itself_are_shown(made, mfu):
    metrics = {"pretrain/tokens_per_second": 2e5, "pretrain/flops_per_token": 1.5e6, **mfu}
    segment = {"choices": {"compile": "on, since it began compiled"}}
    run = made.run(metrics=metrics, stages={"pretrain": {"segment": segment}})
    text = " ".join(Page(run_page(read_run(run))).text.split())
    assert "pretrain; 300.0 GFLOP a second" in text
    assert ("MFU 41.7%" in text) == bool(mfu)
    assert "compileon, since it began compiled" in text


def test_an_older_record_without_the_newer_keys_has_a_page(made):
    run = made.run()
    for key in ("command", "changes", "planned", "group"):
        if key != "planned":
            run.data.pop(key)
    text = Page(run_page(read_run(run))).text
    assert "was not recorded" in text
    assert "python -m lmexp.run +experiment=made" in text


def test_a_key_that_the_experiment_leaves_open_is_said_to_be(made):
    run = made.run(changes={"trainer.max_steps": ["???", 5]})
    assert "trainer.max_steps(must be given)5" in Page(run_page(read_run(run))).text


def test_a_sweep_has_a_row_for_each_point_and_says_which_setting_is_best(made):
    written = write_sweep_report(find_sweep(made.store, swept(made))).read_text()
    page = Page(written)
    rows = re.findall(r'<tr(?: class="best")?>.*?</tr>', written)
    points = [row for row in rows if "../../runs/" in row]
    assert len(points) == 12
    assert not [row for row in points if 'class="best"' in row], "a seed is not better than another"
    (best,) = [row for row in rows if 'class="best"' in row]
    assert re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", best)[:3] == ["1e-3", "muon", "2"]
    assert (
        "optimizer.lr=1e-3, optimizer=muon is best: every other setting with a result is worse" in page.text
    )
    assert "12 of 13 points over optimizer.lr, optimizer, seed." in page.text
    assert "<b>the learning rate</b>" in page.text
    headings = re.findall(r"<h3>(.*?)</h3>", written)
    assert headings == ["optimizer.lr", "optimizer"]
    assert "optimizer.lr (logarithmic)" in page.text
    assert "11 of 12" in page.text


def numbers(written: str, key: str) -> list[list[str]]:
    """Return the rows of the table below the plot over a swept parameter."""
    figure = re.search(rf"<figure class=\"plot\"><figcaption><h3>{key}</h3>.*?</figure>", written)[0]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr>.*?</tr>", figure)][1:]


def test_a_point_that_failed_has_no_result_and_is_not_said_to_have_diverged(made):
    written = write_sweep_report(find_sweep(made.store, swept(made))).read_text()
    text = Page(written).text
    assert text.count("1 point has no result.") == 2, "once below each plot"
    assert "not finite" not in text
    assert "not a number" not in text
    assert ["optimizer=muon", "0.0001", "no result"] in numbers(written, "optimizer.lr")
    (failed,) = [row for row in re.findall("<tr>.*?</tr>", written) if "point-03" in row]
    assert failed.count("no result") == 1


def test_the_numbers_of_a_sweep_name_means_as_means_and_count_each_run_once(made):
    written = write_sweep_report(find_sweep(made.store, swept(made))).read_text()
    rows = numbers(written, "optimizer.lr")
    adamw = [row[1:] for row in rows if row[0] == "optimizer=adamw"]
    assert adamw[:2] == [["0.0001", "1.510"], ["0.0001", "1.520"]]
    mean = next(row[1:] for row in rows if row[0] == "optimizer=adamw, mean")
    assert (mean[0], mean[1][:6]) == ("0.0001", "1.515 ")
    assert len(rows) == 12 + 6
    assert written.count(", 11 points between ") == 2


def test_a_sweep_that_repeats_no_setting_shows_each_run_and_no_means(made):
    points = []
    for lr, value in (("1e-2", 1.3), ("1e-3", 1.2), ("1e-4", None)):
        metrics = {} if value is None else {"perplexity/test/bits_per_byte": value}
        run = made.run(f"point-{lr}", metrics=metrics, status="done" if metrics else "failed")
        points.append((run.name, [f"optimizer.lr={lr}"]))
    made.sweep("plain", points, num_points=3)
    written = write_sweep_report(find_sweep(made.store, "plain")).read_text()
    assert "No setting was repeated" in written
    expected = [["0.001", "1.200"], ["0.01", "1.300"], ["0.0001", "no result"]]
    assert numbers(written, "optimizer.lr") == [["each run", *row] for row in expected]
    assert ", 2 points between 1.2 and 1.3;" in written
    assert len(re.findall('<path class="line ', written)) == 1


def test_settings_stand_in_order_with_their_repetitions_and_their_difference_from_the_leading(made):
    written = write_sweep_report(find_sweep(made.store, swept(made))).read_text()
    settings = written[written.index('id="settings"') : written.index('id="plots"')]
    cells = [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr[^>]*>.*?</tr>", settings)
    ]
    assert [row[:3] for row in cells[1:]] == [
        ["1e-3", "muon", "2"],
        ["1e-3", "adamw", "2"],
        ["1e-4", "muon", "1"],
        ["1e-2", "muon", "2"],
        ["1e-4", "adamw", "2"],
        ["1e-2", "adamw", "2"],
    ]
    # pooled: five settings of two seeds that are 0.01 apart, so s = 0.00707 with 5 degrees of freedom
    assert cells[1][3:] == ["1.365 [1.352, 1.378]", "", "best"]
    assert cells[2][3:] == ["1.415 [1.402, 1.428]", "+0.050 [0.013, 0.087]", "worse"]
    assert cells[3][3] == "1.460 [1.442, 1.478]", "its other seed failed, and the spread is that of all"


@pytest.mark.parametrize(
    ("metrics", "headline"),
    [
        ([{"a/loss": 1, "b/test/bits_per_byte": 2}, {}], "b/test/bits_per_byte"),
        (
            [{"a/validation/bits_per_byte": 1, "b/test/bits_per_byte": 2}, {}],
            "b/test/bits_per_byte",
        ),
        ([{"a/validation/bits_per_byte": 1}], "a/validation/bits_per_byte"),
        ([{"a/loss": 1, "b/t/acc/0": 0.5, "b/t/acc/0/stderr": 0.5}], "b/t/acc/0"),
        ([{"a/n": 3, "a/sum": 1}, {"a/n": 3, "a/sum": 2}], "a/sum"),
        ([{"a/n": 3}], "a/n"),
        ([{}], None),
        ([], None),
    ],
)
def test_points_are_compared_by_what_all_of_them_measured(metrics, headline):
    assert headline_metric(metrics) == headline


def test_the_best_is_the_least_loss_or_the_greatest_accuracy():
    nan = float("nan")
    assert best_point("p/test/bits_per_byte", [2.0, nan, 1.0]) == 2
    assert best_point("p/t/acc/0", [0.2, 0.9, nan]) == 1
    assert best_point("a/sum", [1.0, 2.0]) is None
    assert best_point("a/loss", [nan]) is None


def test_swept_keys_are_those_that_differ():
    settings = [{"a": "1", "b": "x", "c": "0"}, {"a": "1", "b": "y"}]
    assert swept_keys(settings) == ["b", "c"]
