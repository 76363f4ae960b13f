"""Simulate how often each tool's 95 % interval holds the true median: `python -m tests.evidence.peers.coverage`."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

import numpy as np

from tests.evidence import estimators, reproducibility
from tests.evidence.peers.rules import RULES, Rule
from tests.evidence.peers.streams import STREAMS, Stream, true_median
from tests.support.places import ROOT

PAGE = ROOT / "docs" / "sampling.md"
SEED = 20
# A block of a few milliseconds, as short calls are timed in; and a slow call, which is a block of its own.
BLOCKS = (0.002, 0.05)
ESTIMATOR_RUNS = 60


@dataclass(frozen=True)
class Coverage:
    """How a rule did on a stream: the share of runs whose interval held the truth, and what that took."""

    share: float
    half_width: float | None
    samples: float
    seconds: float


def cover(rule: Rule, stream: Stream, *, block: float, runs: int, seed: int) -> Coverage:
    """Run a rule many times on a stream; a run without an interval covers nothing."""
    rng = np.random.default_rng(seed)
    truth = true_median(stream, block=block, rng=rng)
    outcomes = [rule(stream, block, rng) for _ in range(runs)]
    widths = [(found.high - found.low) / 2 / found.centre for found in outcomes if found.low is not None]
    held = [found.low is not None and found.low <= truth <= found.high for found in outcomes]
    samples = statistics.mean(found.samples for found in outcomes)
    return Coverage(
        share=sum(held) / runs,
        half_width=statistics.mean(widths) if widths else None,
        samples=samples,
        seconds=samples * block,
    )


def table(*, block: float, runs: int, seed: int = SEED) -> list[str]:
    """Write a table for one length of block, a row for each rule."""
    lines = [
        "| rule | " + " | ".join(stream.name for stream in STREAMS) + " |",
        "|---" * (len(STREAMS) + 1) + "|",
    ]
    for name, rule in RULES.items():
        cells = [cell(cover(rule, stream, block=block, runs=runs, seed=seed)) for stream in STREAMS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def cell(found: Coverage) -> str:
    """Write coverage, half-width, samples and seconds."""
    width = "none" if found.half_width is None else f"{found.half_width:.1%}"
    return f"**{found.share:.0%}** · {width} · {found.samples:.0f} · {found.seconds:.2f} s"


def page(*, runs: int) -> str:
    """Write the page."""
    lines = [
        "# When to stop sampling",
        "",
        "How often does the 95 % interval of a measured median hold the true median? Simulated streams of block times",
        "stand for what machines do; each rule samples until it says that it has enough.",
        f"Written by `nox -s sampling` from {runs} runs a cell, seed {SEED}.",
        "",
        "Each cell: **share of runs whose interval holds the truth** · mean relative half-width · samples · time spent",
        "in the timed region. 95 % is what the interval claims.",
        "",
        *(f"- **{stream.name}**: {stream.describes}." for stream in STREAMS),
        "",
    ]
    for block in BLOCKS:
        lines += [f"## Blocks of {block * 1e3:.0f} ms", "", *table(block=block, runs=runs), ""]
    lines += [
        "## What it says",
        "",
        "Sampling back to back takes hundreds of samples of one moment. Where neighbouring blocks resemble each other,",
        "or the machine drifts over seconds, more of them make the interval narrower and no truer. attnbench takes",
        "one block in each of many rounds with other cases in between, and its interval is the wider of the rank",
        "interval over all blocks (widened by their autocorrelation time) and the t interval over the rounds. It stops",
        "once the interval is within the precision asked for, 4 % by default and 1 % with `--rigorous`, or when its",
        "rounds are used up; then the interval says how far it came. (`--rigorous` also spreads its rounds over",
        "several processes, which is not simulated here.)",
        "",
        "The other four tools claim no interval for their centre. Each is granted the distribution-free interval of",
        "the median for independent samples. Their rules are written from their documentation and sources:",
        "pytest-benchmark (`max_time` 1 s, 5 rounds at least), triton's `do_bench` (`rep` 100 ms), torch's",
        "`blocked_autorange` (`min_run_time` 0.2 s), nvbench's `stdrel` criterion (0.5 % noise, or noise that settled;",
        "0.5 s at least, 15 s at most). With two samples no 95 % interval exists: that is 0 %.",
        "",
        "Rounds are a second apart, ten in the drift column, as in a run over a grid of cases; a run with only a few",
        "cases has rounds closer together and covers drift less. tests/evidence/peers has streams and rules.",
    ]
    lines += ["", *estimators.section(runs=ESTIMATOR_RUNS)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write docs/sampling.md, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--print", action="store_true", dest="only_print")
    options = parser.parse_args()
    text = page(runs=options.runs)
    if options.only_print:
        print(text)  # noqa: T201
    else:
        PAGE.write_text(reproducibility.keep(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
