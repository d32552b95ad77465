"""Make the pictures of the README from a running demo, after three to five minutes of its traffic:

    .venv/bin/python tests/dashboard/take_pictures.py http://127.0.0.1:8501

They go to dashboard/pictures, 1280 × 800.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
DIRECTORY = Path(__file__).parents[2] / "dashboard" / "pictures"
SIZE = (1280, 800)
MOST = 250_000  # bytes of a file


def open_page(browser: Browser, url: str, ready: str, *, dark: bool = False) -> Page:
    page = browser.new_context(
        viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="dark" if dark else "light", timezone_id="UTC"
    ).new_page()
    page.goto(url)
    settle(page, ready)
    return page


def settle(page: Page, ready: str) -> None:
    page.locator(f"{ready}[data-ready='1']").first.wait_for(timeout=60_000)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
    page.evaluate("document.fonts.ready")


def save(page: Page, name: str) -> None:
    DIRECTORY.mkdir(exist_ok=True)
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    path = DIRECTORY / f"{name}.png"
    picture.save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST:
        raise SystemExit(f"{path} has {size:,} bytes: more than {MOST:,}")
    print(f"{path}: {size:,} bytes")  # noqa: T201 - the script's own message


def take(browser: Browser, base: str, range_: str) -> None:
    page = open_page(browser, f"{base}/?refresh=off&range={range_}", ".ranking")
    save(page, "service-map")

    page = open_page(browser, f"{base}/?refresh=off&range={range_}&node=payment%7C", ".inspector", dark=True)
    settle(page, ".series")
    save(page, "service-map-dark")

    page = open_page(browser, f"{base}/traces?range={range_}", ".histogram")
    page.get_by_test_id("stDataFrame").locator("canvas").first.wait_for()
    save(page, "traces")

    # A checkout that went all the way to the worker.
    page = open_page(
        browser,
        f"{base}/traces?range={range_}&filter=service(%22worker%22)%20AND%20service(%22payment%22)",
        ".histogram",
    )
    # The table is a canvas: the tick box of its first row is where the second of its lines begins.
    table = page.get_by_test_id("stDataFrame").locator(".dvn-scroller")
    row = page.evaluate("2.1875 * parseFloat(getComputedStyle(document.documentElement).fontSize)")
    table.click(position={"x": 16, "y": row * 1.5})
    page.get_by_role("link", name="Open storefront").click()
    settle(page, ".frame")
    page.get_by_role("treeitem", name="payment POST").first.click()
    settle(page, ".frame")
    save(page, "trace")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the dashboard of a running demo")
    parser.add_argument(
        "--range", default="5m", dest="range_", metavar="NAME", help="time range (default: %(default)s)"
    )
    args = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        take(browser, args.url.rstrip("/"), args.range_)
        browser.close()


if __name__ == "__main__":
    main()
