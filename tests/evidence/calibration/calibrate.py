"""Simulate timings of known laws, judge them, and write docs/calibration.md: how often the verdict is right.

Run by `nox -s calibration`; seeds are fixed, so that the same code writes the same tables.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from pathlib import Path

import numpy as np

from harness.policy import ScalingPolicy
from harness.scaling.decision import CONSISTENT, CONTRADICTED, decide
from harness.scaling.exponent import exponent_profile
from harness.scaling.judgement import judge_law
from scenarios import catalog
from tests.evidence.calibration import rivals
from tests.support.places import ROOT

TARGET = ROOT / "docs" / "calibration.md"
SEED = 20
# Seconds of work at the smallest size: what a small attention call takes on one core.
SMALLEST = 5e-5
LAWS = {
    "n": (1.0, lambda n: n),
    "n log n": (1.0, lambda n: n * np.log2(n)),
    "n^1.5": (1.5, lambda n: n**1.5),
    "n^2": (2.0, lambda n: n**2),
    "n^2 log n": (2.0, lambda n: n**2 * np.log2(n)),
    "n^2.5": (2.5, lambda n: n**2.5),
    "n^3": (3.0, lambda n: n**3),
}
CLAIMS = {"n": 1.0, "n^2": 2.0, "n^3": 3.0}
TOOLS = {
    "log-log slope": rivals.log_log_slope,
    "google/benchmark": rivals.google_benchmark,
    "Extra-P": rivals.extra_p,
    "big_O": rivals.big_o,
}
# A tool that names a law within the band of the claim is taken to confirm it, log factors forgiven.
BAND = 0.25
# What one run's times scatter by: what two runs differ by, over the square root of two.
AS_MEASURED = {"1.9 % (steady host)": 0.019, "3.2 % (unsteady host)": 0.032}


def sweep(points=11, ratio=64, largest=8192):
    return np.round(largest / ratio * ratio ** (np.arange(points) / (points - 1)))


def generator(*key):
    return np.random.default_rng([SEED, zlib.crc32(repr(key).encode())])


def times(law, sizes, *, sets, shape="none", noise=0.03, floor="any"):
    """Draw [sets, m] seconds: floor + law under a distortion, with lognormal noise.

    A floor `any` equals the work at a size between a quarter of the smallest and four times it, `below` at the
    smallest at most, `none` is zero.
    """
    draw = generator(law, tuple(sizes), shape, noise, floor)
    work = LAWS[law][1](sizes)
    work = SMALLEST * work / work[0]
    distorted = work * distortion(shape, sizes, sets, draw)
    reach = {"any": (-1.0, 1.0), "below": (-1.0, 0.0)}.get(floor)
    cost = np.zeros((sets, 1))
    if reach:
        local = np.log2(LAWS[law][1](2 * sizes[0]) / LAWS[law][1](sizes[0]))
        cost = distorted[:, :1] * 4.0 ** (draw.uniform(*reach, (sets, 1)) * local)
    return (cost + distorted) * np.exp(draw.normal(0, noise, distorted.shape))


def distortion(shape, sizes, sets, draw):
    """Return factors [sets, m] on the work: what caches, allocators, tiles and other tenants do to it."""
    octaves, count = np.log2(sizes), len(sizes)
    place = draw.uniform(octaves[0], octaves[-1], (sets, 1))
    drawn = {
        "none": lambda: np.ones((sets, count)),
        "one transition": lambda: transition(octaves, sets, draw, highest=3.0),
        "two transitions": lambda: (
            transition(octaves, sets, draw, highest=2.0) * transition(octaves, sets, draw, highest=2.0)
        ),
        "step of 2 to 4": lambda: np.where(octaves > place, draw.uniform(2, 4, (sets, 1)), 1.0),
        "faster kernel above": lambda: np.where(octaves > place, 1.0 / draw.uniform(1.3, 2, (sets, 1)), 1.0),
        "tile wiggle of 10 %": lambda: np.exp(draw.choice([0.0, 0.1], (sets, count))),
        "one outlier of 40 %": lambda: np.where(np.arange(count) == draw.integers(0, count, (sets, 1)), 1.4, 1.0),
        "drift of 5 %": lambda: np.exp(np.cumsum(draw.normal(0, 0.05 / np.sqrt(count), (sets, count)), axis=1)),
    }
    return drawn[shape]()


def transition(octaves, sets, draw, *, highest):
    """Return factors that rise smoothly from 1 to a random height at a random place, over 0.2 to 0.8 octaves."""
    height, width = draw.uniform(1.5, highest, (sets, 1)), draw.uniform(0.2, 0.8, (sets, 1))
    place = draw.uniform(octaves[0], octaves[-1], (sets, 1))
    return 1 + (height - 1) / (1 + np.exp(-(octaves - place) / (width / 2)))


def outcomes(verdicts, *, law, claim):
    """Return the shares (right, wrong, open); a law within half a power that isn't the claim has no right answer."""
    consistent, contradicted, left = (float(np.mean(verdicts == code)) for code in range(3))
    if law == claim:
        return consistent, contradicted, left
    return contradicted, consistent, left


def judged(law, sizes, *, claim, kind="component", **options):
    verdicts = decide(sizes, times(law, sizes, **options), claimed=CLAIMS[claim], kind=kind).verdict
    return outcomes(verdicts, law=law, claim=claim)


def shown(shares):
    return " / ".join(f"{100 * share:.0f}" if share in {0.0, 1.0} else f"{100 * share:.1f}" for share in shares)


def counts_for_the_bar(law, claim):
    """Tell whether a truth is at least half a power from the claim, or the claim."""
    return law == claim or abs(LAWS[law][0] - CLAIMS[claim]) >= 0.5


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def bars(sets):
    """Check what is promised of the verdict; return the text and whether all holds."""
    sizes, lines, fine = sweep(), [], True
    worst = max(
        (judged(law, sizes, claim=claim, shape=shape, floor=floor, sets=sets)[1], law, claim, shape)
        for claim in CLAIMS
        for law in LAWS
        if counts_for_the_bar(law, claim)
        for shape in ("none", "one transition")
        for floor in ("any", "below")
    )
    fine &= worst[0] <= 0.01
    lines.append(
        f"* Wrong at most 1 % of the time: worst {100 * worst[0]:.2f} % "
        f"(truth {worst[1]}, claim {worst[2]}, {worst[3]})."
    )
    decisive = []
    for law in ("n", "n^2", "n^3"):
        for shape in ("none", "one transition"):
            shares = judged(law, sizes, claim="n^2", shape=shape, floor="below", sets=sets)
            decisive.append((shares[0] + shares[1], law, shape))
    fine &= min(decisive)[0] >= 0.90
    lines.append(
        "* Decisive at least 90 % of the time where the fixed cost is below the work at the smallest size: worst "
        f"{100 * min(decisive)[0]:.1f} % (truth {min(decisive)[1]}, {min(decisive)[2]})."
    )
    never = 0
    for law in ("n", "n^3"):
        for shape in ("none", "one transition"):
            data = times(law, sizes, sets=5000, shape=shape, floor="any", noise=0.03)
            for kind in ("component", "layer"):
                never += int((decide(sizes, data, claimed=2.0, kind=kind).verdict == CONSISTENT).sum())
    fine &= never == 0
    lines.append(
        "* Data of n and of n^3, 10,000 sets each (half with a transition), called consistent with n^2 by either "
        f"rule: {never} times."
    )
    ours = wrong_of_all(sets // 5)
    theirs = {name: ours.pop(name) for name in TOOLS}
    fine &= max(ours.values()) < min(theirs.values())
    listed = ", ".join(f"{name} {100 * share:.1f} %" for name, share in {**ours, **theirs}.items())
    lines.append(f"* Wrong over the laws and both tables below, on the same data: {listed}.")
    return "\n".join(lines), fine


def against_tools(sets):
    """Judge the same data by every tool."""
    sizes, parts = sweep(), []
    for shape in ("none", "one transition"):
        rows = []
        for name, tool in TOOLS.items():
            cells = []
            for law in LAWS:
                exponent = tool(sizes, times(law, sizes, sets=sets, shape=shape))
                verdicts = np.where(np.abs(exponent - 2.0) <= BAND, CONSISTENT, CONTRADICTED)
                cells.append(outcomes(verdicts, law=law, claim="n^2"))
            rows.append([name, *map(shown, cells), _all_wrong(cells)])
        for kind in ("component", "layer"):
            cells = [judged(law, sizes, claim="n^2", kind=kind, shape=shape, sets=sets) for law in LAWS]
            rows.append([f"**attnbench, {kind}**", *map(shown, cells), _all_wrong(cells)])
        parts.append(f"**{shape}**\n\n" + table(["tool", *LAWS, "wrong in all"], rows))
    return "\n\n".join(parts)


def wrong_of_all(sets):
    """Return tool -> share of wrong answers, over both tables of `against_tools`."""
    sizes, shapes = sweep(), ("none", "one transition")
    laws = [law for law in LAWS if counts_for_the_bar(law, "n^2")]
    wrong = {
        f"attnbench, {kind}": [
            judged(law, sizes, claim="n^2", kind=kind, shape=shape, sets=sets)[1] for law in laws for shape in shapes
        ]
        for kind in ("component", "layer")
    }
    for name, tool in TOOLS.items():
        named = [
            (law, np.abs(tool(sizes, times(law, sizes, sets=sets, shape=shape)) - 2.0) <= BAND)
            for law in laws
            for shape in shapes
        ]
        wrong[name] = [float(np.mean(says != (law == "n^2"))) for law, says in named]
    return {name: float(np.mean(shares)) for name, shares in wrong.items()}


def _all_wrong(cells):
    """Return the share of wrong answers over the laws that the bar counts."""
    wrong = [cell[1] for law, cell in zip(LAWS, cells, strict=True) if counts_for_the_bar(law, "n^2")]
    return f"{100 * float(np.mean(wrong)):.1f} %"


def distortions(sets):
    shapes = (
        "none",
        "one transition",
        "two transitions",
        "step of 2 to 4",
        "faster kernel above",
        "tile wiggle of 10 %",
        "one outlier of 40 %",
        "drift of 5 %",
    )
    sizes = sweep()
    return "\n\n".join(
        f"**{kind} rule**\n\n"
        + table(
            ["distortion", *LAWS],
            [
                [s, *(shown(judged(law, sizes, claim="n^2", kind=kind, shape=s, sets=sets)) for law in LAWS)]
                for s in shapes
            ],
        )
        for kind in ("component", "layer")
    )


def claims(sets):
    sizes = sweep()
    rows = [
        [f"{claim}, {shape}", *(shown(judged(law, sizes, claim=claim, shape=shape, sets=sets)) for law in LAWS)]
        for claim in CLAIMS
        for shape in ("none", "one transition")
    ]
    return table(["claim", *LAWS], rows)


def noises(sets):
    sizes, laws = sweep(), ("n", "n^1.5", "n^2", "n^2.5", "n^3")
    options = {"shape": "one transition", "sets": sets}
    rows = [
        [f"{100 * noise:g} %", *(shown(judged(law, sizes, claim="n^2", noise=noise, **options)) for law in laws)]
        for noise in (0.005, 0.01, 0.02, 0.03, 0.05, 0.10)
    ]
    return table(["noise", *laws], rows)


def as_measured(sets):
    """Return how often the default sweep along n is decided, with the noise that its times had on a real machine."""
    (axis,) = (one for one in catalog.find("sequence-length").on_device("cpu").axes if one.name == "n")
    sizes, laws = np.array(axis.values, dtype=float), ("n", "n log n", "n^1.5", "n^2", "n^2.5", "n^3")
    rows = [
        [
            f"{what}, {shape}",
            *(
                shown(judged(law, sizes, claim="n^2", noise=noise, shape=shape, floor="below", sets=sets))
                for law in laws
            ),
        ]
        for what, noise in AS_MEASURED.items()
        for shape in ("none", "one transition")
    ]
    return table(["noise", *laws], rows)


def designs(sets):
    rows = []
    for points in (6, 7, 9, 11, 13, 17):
        cells = []
        for ratio in (8, 16, 32, 64, 128):
            sizes = sweep(points, ratio)
            right = [
                judged(law, sizes, claim="n^2", shape="one transition", sets=sets) for law in ("n^2", "n^1.5", "n^2.5")
            ]
            wrong = max(cell[1] for cell in right)
            cells.append(" / ".join(f"{100 * cell[0]:.0f}" for cell in right) + f" ({100 * wrong:.1f})")
        rows.append([str(points), *cells])
    return table(["points", "x8", "x16", "x32", "x64", "x128"], rows)


def mixtures(sets):
    sizes, rows = sweep(), []
    for equal in (128, 512, 1024, 2048, 8192):
        draw = generator("mixture", equal)
        work = SMALLEST * (sizes**2 + equal * sizes) / sizes[0] ** 2
        data = work * np.exp(draw.normal(0, 0.03, (sets, len(sizes))))
        cells = [
            shown([float(np.mean(decide(sizes, data, claimed=2.0, kind=kind).verdict == code)) for code in range(3)])
            for kind in ("component", "layer")
        ]
        slope = rivals.log_log_slope(sizes, data)
        rows.append([str(equal), *cells, f"{slope.mean():.2f}"])
    return table(["equal at n", "component", "layer", "log-log slope"], rows)


def coverage(sets):
    """Return how often the 95 % interval contains the true exponent, and its median width."""
    sizes, policy, rows = sweep(), ScalingPolicy(), []
    for shape in ("none", "one transition", "two transitions", "tile wiggle of 10 %", "drift of 5 %"):
        cells = []
        for law in ("n", "n^1.5", "n^2", "n^3"):
            profile = exponent_profile(sizes, times(law, sizes, sets=sets, shape=shape), policy=policy)
            truth = LAWS[law][0]
            inside = np.mean((profile.low <= truth + 1e-9) & (truth - 1e-9 <= profile.high))
            cells.append(f"{100 * inside:.0f} % ({np.median(profile.high - profile.low):.2f})")
        rows.append([shape, *cells])
    return table(["distortion", "n", "n^1.5", "n^2", "n^3"], rows)


def cost_of_a_verdict():
    """Return the processor seconds of one verdict of each rule."""
    sizes = sweep(13)
    data, seconds = times("n^2", sizes, sets=20), {}
    for kind in ("component", "layer"):
        judge_law(sizes, data[0], claimed=2.0, kind=kind)
        started = time.process_time()
        for row in data:
            judge_law(sizes, row, claimed=2.0, kind=kind)
        seconds[kind] = (time.process_time() - started) / len(data)
    return seconds


TEXT = """# Calibration: how often the verdict on time is right

Written by `nox -s calibration` (`tests/evidence/calibration`, fixed seeds, {sets} data sets a cell); do not edit.
The method is explained in [verdict.md](verdict.md).

Unless said otherwise: 11 sizes from 128 to 8192 (a ratio of 64), 3 % lognormal noise, and a fixed cost equal to the
work at a size drawn between a quarter of the smallest size and four times it. One transition makes work 1.5 to 3 times
as dear beyond a random size, two make it 1.5 to 2 times as dear each. A cell shows **right / wrong / inconclusive** in
per cent: right is `consistent` where the truth is the claim and `contradicted` where it is not. `n^2 log n` is within
half a power of n^2 (its exponent over the sweep is about 2.1), so `consistent with n^2` is counted in its wrong
column, but in no bar.

## What is promised

{bars}

## Beside other tools, on the same data (claim n^2)

A tool that names an exponent within 0.25 of 2 is taken to confirm n^2, whatever its log factors; the last column
averages what is wrong over n, n log n, n^1.5, n^2, n^2.5 and n^3. The log-log slope is an ordinary line;
google/benchmark's and Extra-P's rules are reimplemented from their sources (`rivals.py` there), big_O is
the package itself, given seconds as it documents.

{tools}

None of the four can answer that it does not know: their wrong answers look like the right ones.

{agreement}

## Other claims

{claims}

## Distortions (claim n^2)

Two transitions that lie in the right places look like half a power more: **n^1.5 under two transitions is the known
weak spot**, and the reason why time alone never confirms a claim.

{distortions}

## The interval itself

How often the 95 % interval contains the true exponent, and its median width. One transition is in the model, though
not of every width; two are not.

{coverage}

## Noise (claim n^2, one transition)

{noises}

## The default sweep, with the noise of its times as measured (claim n^2)

The sizes of `sequence-length` on a CPU, and a fixed cost below the work at the smallest. Two default runs of one code
on a virtual machine of two cores differ by 2.7 % (standard deviation over cases) while the host is steady and by 4.5 %
while it is not: one run's noise is that over the square root of two ([sampling.md](sampling.md)).

{as_measured}

## How many sizes over which range

Right for n^2 / n^1.5 / n^2.5 in per cent, and in brackets the largest share of wrong verdicts of the three (claim
n^2, one transition). Below 7 sizes or a ratio of 16 every verdict is inconclusive.

{designs}

## A linear term beside the quadratic one (claim n^2)

Time = b n + a n^2, both terms equal at the given n: consistent / contradicted / inconclusive. The layer rule is for
laws with lower-order terms; the component rule takes such data for another power, as a line through logarithms does.

{mixtures}
"""

# Made once, in an environment of its own: Extra-P needs numpy below 2.
AGREEMENT = (
    "Extra-P 4.2.5 itself named the same exponent as the reimplementation on 200 of 200 data sets (25 each of n,\n"
    "n^1.5, n^2 and n^3, without and with a transition)."
)


def main():
    """Write the tables. Exits 1 where a promise does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=400, help="data sets a cell")
    parser.add_argument("-o", "--output", type=Path, default=TARGET, help="where the tables go")
    options = parser.parse_args()
    started = time.process_time()
    promised, fine = bars(max(options.sets, 1000))
    sections = {
        "bars": promised,
        "tools": against_tools(options.sets),
        "claims": claims(options.sets),
        "distortions": distortions(options.sets),
        "coverage": coverage(options.sets),
        "noises": noises(options.sets),
        "as_measured": as_measured(options.sets),
        "designs": designs(max(100, options.sets // 2)),
        "mixtures": mixtures(options.sets),
        "agreement": AGREEMENT,
    }
    options.output.write_text(TEXT.format(sets=options.sets, **sections), encoding="utf-8")
    sys.stdout.write(f"{promised}\n\nwrote {options.output} in {time.process_time() - started:.0f} processor seconds\n")
    for kind, seconds in cost_of_a_verdict().items():
        sys.stdout.write(f"one verdict by the {kind} rule takes {1e3 * seconds:.1f} ms\n")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
