"""Take the pictures of a report that the README shows, light and dark.

    python docs/make_pictures.py outputs/runs/in_context-.../report.html

Needs the extra `browser` and an installed chromium.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1000, 900
WHERE = "header > p.quiet { display: none; }"
"""When and on which machine: of no interest to a reader of the README."""


def main(report: str) -> None:
    """Write ``report-light.png`` and ``report-dark.png`` beside this file."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            page.goto(Path(report).absolute().as_uri())
            page.add_style_tag(content=WHERE)
            page.screenshot(path=Path(__file__).with_name(f"report-{scheme}.png"))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
