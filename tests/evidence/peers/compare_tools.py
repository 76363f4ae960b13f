"""Time the same calls by several tools, and write docs/peers.md.

Run as `python -m tests.evidence.peers.compare_tools [--quick]`.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from dataclasses import dataclass

import torch

from harness.machine import environment
from harness.policy import DEFAULT, FAST
from tests.evidence.peers import cases as grid
from tests.evidence.peers.tools import OURS, PEERS, attnbench
from tests.support.places import ROOT

PAGE = ROOT / "docs" / "peers.md"
COLUMNS = (
    "tool",
    "our centre / its centre",
    "its centre scatters by",
    "its interval holds the centre",
    "half-width",
    "wall time per case",
    "wall time for 1 %",
)
REPEATS = 10
SEED = 20


@dataclass(frozen=True)
class Row:
    """A tool against ours over all cases and repeats; shares and ratios are plain numbers, wall time in seconds.

    `scatter` is the standard deviation of the logarithm of its centre between repeats, the median over cases;
    `held` the share of its intervals that hold the session's centre; `width` their mean relative half-width.
    """

    tool: str
    ratio: float
    scatter: float | None
    held: float | None
    width: float | None
    wall: float


def measure(tools, cases, *, repeats, policy, seed=SEED):
    """Let every tool time every case, `repeats` times, tools in shuffled order; {tool: {case: [Timed]}}."""
    order = random.Random(seed)
    found = {tool: {case.name: [] for case in cases} for tool in [OURS, *(tool.name for tool in tools)]}
    with torch.no_grad():
        for repeat in range(repeats):
            for tool in order.sample([None, *tools], len(tools) + 1):
                if tool is None:
                    for name, timed in attnbench(cases, policy=policy, seed=seed + repeat).items():
                        found[OURS][name].append(timed)
                else:
                    for case in order.sample(cases, len(cases)):
                        with case.within():
                            found[tool.name][case.name].append(tool.time(case))
    return found


def rows(found):
    """Compare every tool's results with ours."""
    truth = {
        case: statistics.median(timed.centre for of_tool in found.values() for timed in of_tool[case])
        for case in found[OURS]
    }
    return [row(tool, of_tool, found[OURS], truth) for tool, of_tool in found.items()]


def row(tool, of_tool, ours, truth):
    """Summarise one tool."""
    ratios = [
        math.log(statistics.median(t.centre for t in ours[case]) / statistics.median(t.centre for t in of_tool[case]))
        for case in truth
    ]
    runs = [(case, timed) for case, of_case in of_tool.items() for timed in of_case]
    with_interval = [(case, timed) for case, timed in runs if timed.low is not None]
    held = [timed.low <= truth[case] <= timed.high for case, timed in with_interval]
    return Row(
        tool=tool,
        ratio=math.exp(statistics.median(ratios)),
        scatter=scatter(of_tool),
        # A run without an interval has claimed nothing and held nothing.
        held=sum(held) / len(runs) if with_interval else None,
        width=statistics.mean((t.high - t.low) / 2 / t.centre for _, t in with_interval) if with_interval else None,
        wall=statistics.mean(timed.wall for _, timed in runs),
    )


def scatter(of_tool):
    """Return how much a tool's centre differs between repeats; None from a single one."""
    spreads = [
        statistics.stdev(math.log(timed.centre) for timed in of_case)
        for of_case in of_tool.values()
        if len(of_case) > 1
    ]
    return statistics.median(spreads) if spreads else None


def table(found_rows):
    """Write the rows."""
    lines = [
        "| " + " | ".join(COLUMNS) + " |",
        "|---" * len(COLUMNS) + "|",
    ]
    for one in found_rows:
        to_reach = None if one.scatter is None else one.wall * (one.scatter / 0.01) ** 2
        cells = [
            one.tool,
            "1" if one.tool == OURS else f"{one.ratio:.4f}",
            percent(one.scatter),
            "claims none" if one.held is None else f"{one.held:.0%}",
            percent(one.width),
            f"{one.wall:.2f} s",
            "" if to_reach is None else f"{to_reach:.2f} s",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def percent(share):
    """Write a share, empty where there is none."""
    return "" if share is None else f"{share:.2%}"


def page(found, *, absent, device, repeats):
    """Write the page."""
    described = environment.describe(device)
    place = described.stable.get("gpu") or described.stable.get("cpu")
    cases = list(found[OURS])
    lines = [
        "# The same calls, timed by other tools",
        "",
        f"Written by `nox -s peers` on {place}; threads: {described.stable['threads']};",
        f"torch {described.stable['torch']}.",
        f"{len(cases)} cases, each timed {repeats} times by each tool, the tools in shuffled order in one process.",
        "Numbers hold for that machine and moment; the command writes them anew.",
        "",
        *table(rows(found)),
        "",
        *(f"- {name} did not run: {reason}." for name, reason in absent.items()),
        "",
        "- **our centre / its centre**: median over cases of the ratio of medians over repeats; 1 is agreement.",
        "- **its centre scatters by**: standard deviation of its centre between repeats, the median over cases.",
        "- **its interval holds the centre**: how many of its 95 % intervals hold the session's centre, the median of",
        "  every tool's centres of that case. attnbench states its interval; the others state none and are granted the",
        "  interval of the median for independent samples. Fewer than six samples have none, which holds nothing.",
        "  Repeats are far apart, the rounds of so few cases a fraction of a second: what drifts over minutes is in",
        "  nobody's interval. docs/sampling.md simulates rounds as far apart as in a run over a whole grid.",
        "- **wall time per case**: warm-up and calibration included; attnbench's canaries and rounds too.",
        "- **wall time for 1 %**: wall time x (scatter / 1 %)^2, what one per cent of scatter would take if longer",
        "  sampling averaged the noise away. Under drift it does not, and the figure flatters who samples in one go.",
        "",
        "## Case by case",
        "",
        "| case | " + " | ".join(found) + " |",
        "|---" * (len(found) + 1) + "|",
        *(
            f"| {case} | "
            + " | ".join(
                f"{statistics.median(t.centre for t in of_tool[case]) * 1e3:.4g} ms" for of_tool in found.values()
            )
            + " |"
            for case in cases
        ),
    ]
    return "\n".join(lines) + "\n"


def milliseconds(of_case):
    """Write the median of a case's centres."""
    return f"{statistics.median(timed.centre for timed in of_case) * 1e3:.4g} ms"


def main(arguments=None):
    """Measure, then write the page, or print it after a quick look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cases, two repeats; prints and writes nothing")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    repeats = options.repeats or (2 if options.quick else REPEATS)
    absent = {tool.name: tool.absent(options.device) for tool in PEERS if tool.absent(options.device)}
    tools = [tool for tool in PEERS if tool.name not in absent]
    cases = grid.every(options.device, is_quick=options.quick)
    found = measure(tools, cases, repeats=repeats, policy=FAST if options.quick else DEFAULT)
    text = page(found, absent=absent, device=options.device, repeats=repeats)
    if options.quick:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
