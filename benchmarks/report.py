"""How long the report of a run takes to be made and to be opened: `python benchmarks/report.py RUN`.

Opened from disk in the system's Chromium, each time in a window of its own: until something is painted, until the page with
its table of examples is whole, and how long the table takes to be sorted and filtered. Median and range over the rounds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from headway.report.page import write_report

# Milliseconds since the page was asked for, and of changes with their layout.
OPENED = """() => ({
  painted: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
  whole: performance.getEntriesByType("navigation")[0].loadEventEnd,
  rows: JSON.parse(document.getElementById("examples-data").textContent).rows.length,
})"""
CHANGED = """change => {
  const began = performance.now();
  if (change === "sorted") document.querySelector("#examples th button").click();
  else Object.assign(document.querySelector("#examples select"), { selectedIndex: 1 }).dispatchEvent(new Event("change"));
  document.body.offsetHeight;
  return performance.now() - began;
}"""


def opened(browser: Any, path: Path) -> dict[str, float]:
    """The milliseconds of one opening."""
    page = browser.new_context().new_page()
    page.goto(path.resolve().as_uri())
    page.wait_for_timeout(100)  # for the entry of the paint
    found: dict[str, float] = page.evaluate(OPENED)
    found |= {change: page.evaluate(CHANGED, change) for change in ("sorted", "filtered")}
    page.context.close()
    return found


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run that has been evaluated")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        began = time.perf_counter()
        path = write_report(arguments.run, Path(folder) / "report.html")
        made = time.perf_counter() - began
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        rounds = [opened(browser, path) for _ in range(arguments.rounds)]
        browser.close()
        print(f"made in {made:.1f} s, {path.stat().st_size / 1e6:.2f} MB, {rounds[0]['rows']:,} examples")
    for name in ("painted", "whole", "sorted", "filtered"):
        times = sorted(one[name] for one in rounds)
        print(f"{name:8} {statistics.median(times):6.0f} ms ({times[0]:.0f}–{times[-1]:.0f})")


if __name__ == "__main__":
    main()
