"""Pages in headless Chromium, wide and narrow, light and dark.

``pip install 'lmexp[browser]'`` and an installed chromium are needed: ``pytest -m browser`` says so where
one is missing. $LMEXP_SHOTS names a directory for pictures to look at.
"""

import os
import shutil
from pathlib import Path

import pytest

from lmexp.analysis.report import write_report, write_sweep_report
from lmexp.core.records.sweeps import find_sweep

from .made import Made, hostile, in_context, swept

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("tests marked browser need playwright: pip install 'lmexp[browser]'")
    path = next((p for p in map(shutil.which, NAMES) if p), None)
    if path is None:
        pytest.fail(f"tests marked browser need one of {', '.join(NAMES)}: apt-get install chromium")
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    made = Made(tmp_path_factory.mktemp("browser") / "store")
    written = {
        "in_context": write_report(in_context(made)),
        "hostile": write_report(hostile(made)),
        "empty": write_report(made.run("empty-1", stages={"a": None}, status="running", finished=None)),
    }
    name = swept(made)
    return {**written, "sweep": write_sweep_report(find_sweep(made.store, name))}


@pytest.fixture(params=["in_context", "hostile", "empty", "sweep"])
def name(request):
    return request.param


@pytest.fixture
def show(browser, pages, name):
    """Open the page and return it with what the console said; leave a picture if asked to."""
    contexts = []

    def call(width: int, scheme: str, *, open_details: bool = False):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url[:5] == "http:" else None)
        page.goto(pages[name].as_uri())
        if open_details:
            page.eval_on_selector_all("details", "found => found.forEach(d => { d.open = true; })")
        if shots := os.environ.get("LMEXP_SHOTS"):
            suffix = "-open" if open_details else ""
            page.screenshot(path=f"{shots}/{name}-{width}-{scheme}{suffix}.png", full_page=True)
        return page, said

    yield call
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400, 320])
@pytest.mark.parametrize("open_details", [False, True])
def test_a_page_fits_its_window_and_the_console_is_silent(show, width, scheme, open_details):
    page, said = show(width, scheme, open_details=open_details)
    assert said == []
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1], f"{widths[0]} pixels wide in a window of {widths[1]}"


@pytest.mark.parametrize("width", [1280, 400])
def test_the_tables_of_a_sweep_are_whole(show, name, width):
    if name == "sweep":
        page, _ = show(width, "light", open_details=True)
        overflowing = "d => d.querySelector('.stacked') && d.scrollWidth > d.clientWidth"
        assert page.evaluate(f"[...document.querySelectorAll('.scroll')].filter({overflowing}).length") == 0
        assert page.evaluate("document.querySelectorAll('.stacked').length") == 2


CONTRASTS = """
() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest("title, desc")) continue;
    const style = getComputedStyle(element);
    const color = element.closest("svg") ? style.fill : style.color;
    const [a, b] = [luminance(parse(color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([walker.currentNode.data, color, ratio]);
  }
  return found;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(show, scheme):
    page, _ = show(1280, scheme, open_details=True)
    assert page.evaluate(CONTRASTS) == []


CLIPPED = """
() => [...document.querySelectorAll("svg[role=img] text")].filter(t => {
  const [a, b] = [t.getBoundingClientRect(), t.closest("svg").getBoundingClientRect()];
  return a.left < b.left - 2 || a.right > b.right + 2 || a.top < b.top - 2 || a.bottom > b.bottom + 2;
}).map(t => t.textContent)
"""
OVERLAPS = """
() => [...document.querySelectorAll("svg[role=img]")].flatMap(svg => {
  const boxes = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], i) => boxes.slice(i + 1).filter(([, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3
  ).map(([two]) => [svg.getAttribute("aria-label"), one, two]));
})
"""
SMALLEST = """
() => Math.min(...[...document.querySelectorAll("svg[role=img] text")].map(t =>
  parseFloat(getComputedStyle(t).fontSize) * t.closest("svg").getBoundingClientRect().width / 480))
"""


@pytest.mark.parametrize("width", [1280, 400])
def test_the_text_of_a_plot_is_whole_apart_and_large_enough(show, width):
    page, _ = show(width, "light")
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(SMALLEST) >= 10.5


def test_what_a_record_holds_never_runs(show):
    page, said = show(1280, "light", open_details=True)
    assert page.evaluate("document.scripts.length + document.querySelectorAll('iframe, object').length") == 0
    assert said == []


def test_a_page_prints_on_paper(show):
    page, _ = show(1280, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.pdf()[:5] == b"%PDF-"
