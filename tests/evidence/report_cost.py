"""What a report costs by number of cases: seconds and memory to write it, its size, seconds until it opens.

`python -m tests.evidence.report_cost` writes the table of docs/report.md. Each size is rendered in its own process.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import runs

SIZES = (100, 1_000, 10_000)
REPEATS = 3
# What is rendered in the measured process; ru_maxrss is in KiB on Linux.
PROGRAM = """
import resource, sys, time
from pathlib import Path
started = time.perf_counter()
from reports.page.render import render
render([Path(sys.argv[1])], Path(sys.argv[2]))
print(time.perf_counter() - started, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def rendered(run: Path, page: Path) -> tuple[float, float, float]:
    """Return the seconds, the processor's seconds and the peak bytes of rendering a run in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run), str(page)], capture_output=True, text=True, check=True
    )
    seconds, processor, peak = map(float, done.stdout.split())
    return seconds, processor, peak


def opened(page: Path) -> float | None:
    """Return the seconds until Chromium has the page ready with its table and explorer, None without Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        started = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready]")
        seconds = time.perf_counter() - started
        browser.close()
    return seconds


@dataclass(frozen=True)
class Cost:
    """What a report of so many cases costs; `opening` is absent without a browser."""

    cases: int
    seconds: float
    processor: float
    peak: float
    size: int
    opening: float | None


def measure(cases: int, folder: Path) -> Cost:
    """Render a run of so many cases and open its page, REPEATS times each; medians, and the highest peak."""
    run = runs.make_run(folder / str(cases), cases=cases)
    page = folder / f"{cases}.html"
    times, processor, peaks = zip(*(rendered(run, page) for _ in range(REPEATS)), strict=True)
    openings = [seconds for _ in range(REPEATS) if (seconds := opened(page)) is not None]
    return Cost(
        cases=cases,
        seconds=statistics.median(times),
        processor=statistics.median(processor),
        peak=max(peaks),
        size=page.stat().st_size,
        opening=statistics.median(openings) if openings else None,
    )


def main() -> None:
    """Print the table."""
    say("| cases | seconds to write | of the processor | peak memory | size of the file | seconds to open |")
    say("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for cases in SIZES:
            cost = measure(cases, Path(folder))
            opening = "no browser" if cost.opening is None else f"{cost.opening:.2f}"
            written = (
                f"{cost.seconds:.1f} | {cost.processor:.1f} | {cost.peak / 2**20:.0f} MiB | {cost.size / 1e6:.2f} MB"
            )
            say(f"| {cases:,} | {written} | {opening} |")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
