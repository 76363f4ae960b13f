"""Time our d2l form against the package d2l's own module, in turn.

Run as `python -m tests.evidence.peers.d2l_ratio [--write FILE]`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.instruments import directions, rounds
from harness.machine import environment
from harness.policy import DEFAULT, FAST
from harness.runner import allocator
from harness.stats import comparison
from impls import discovery, registry
from impls.subject import Subject
from scenarios import tutorial
from tests.support.sections import replaced

SECTION = "d2l ratio"
OURS, THEIRS = "d2l", "d2l-package"
PACKAGE_FILE = Path(__file__).parent / "d2l_package.py"
SEED = 7
# The tutorial's own shapes, and lengths of both kinds, beside the scenarios' sweeps.
EXAMPLE = {"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2, "valid_lens": "batch"}
MASKED = (
    {"n": 512, "width": 64, "heads": 2, "batch": 2, "valid_lens": "batch"},
    {"n": 512, "width": 64, "heads": 2, "batch": 2, "valid_lens": "rows"},
)


@dataclass(frozen=True)
class Asked:
    """A point of the multi-head problem and a direction."""

    point: dict
    direction: str

    @property
    def name(self):
        """Return what the table calls it."""
        return f"{', '.join(f'{axis} {value}' for axis, value in self.point.items())}; {self.direction}"


def every(*, is_quick):
    """List what is timed: the multi-head scenarios' points, masks of both kinds, the example, a training step."""
    if is_quick:
        return [Asked(EXAMPLE, "forward"), Asked({**tutorial.TRAINING.base, "n": 64}, "forward+backward")]
    forward = [
        *(point for scenario in (tutorial.MULTIHEAD, tutorial.MULTIHEAD_HEADS) for point in scenario.points()[0]),
        EXAMPLE,
        *MASKED,
    ]
    training = [
        point for scenario in (tutorial.TRAINING, tutorial.TRAINING_WITHOUT_DROPOUT) for point in scenario.points()[0]
    ]
    return [
        *(Asked(point, "forward") for point in forward),
        *(Asked(point, "forward+backward") for point in training),
    ]


def measure(asked, *, device, policy, seed=SEED):
    """Time both modules in turn on the same inputs; return {name: samples of each}, directions one after another."""
    discovery.discover(impl_files=[PACKAGE_FILE])
    found = {}
    for direction in dict.fromkeys(one.direction for one in asked):
        with ExitStack() as stack:
            groups = {
                one.name: {name: stack.enter_context(prepared(name, one, device)).call for name in (THEIRS, OURS)}
                for one in asked
                if one.direction == direction
            }
            found |= rounds.interleave(groups, device=device, policy=policy, seed=seed)
    return found


def prepared(name, asked, device):
    """Prepare one module's call on inputs of its own, drawn from a seed that both share."""
    problem = registry.problem("multihead")
    entry, point = registry.get("multihead", name), problem.parse(asked.point)
    subject = Subject(problem, entry, point, torch.float32, device, asked.direction)
    return directions.measured_call(subject, subject.inputs(seed=SEED))


def ratios(found):
    """Return ours over the package's, {name: [log ratio of each round]}."""
    return {name: comparison.round_ratios(of[THEIRS].rounds, of[OURS].rounds) for name, of in found.items()}


def table(found, *, policy):
    """Write a line for each case, and one for all: the mean over cases of each round's logarithms."""
    by_case = ratios(found)
    all_of = [statistics.fmean(of_round) for of_round in zip(*by_case.values(), strict=True)]
    judged = comparison.compare({name: [logs] for name, logs in by_case.items()}, policy=policy)
    (pooled,) = comparison.compare({"all": [all_of]}, policy=policy).values()
    lines = ["| case | package | ours | ours / package | 95 % interval | ours is |", "|---|---|---|---|---|---|"]
    for name, one in judged.items():
        times = " | ".join(f"{found[name][module].median * 1e3:.4g} ms" for module in (THEIRS, OURS))
        lines.append(f"| {name} | {times} | {cells(one)} |")
    lines.append(f"| **all {len(judged)} cases** | | | {cells(pooled)} |")
    return lines, judged, pooled


def cells(one):
    """Write a comparison."""
    return f"{one.ratio:.3f} | {one.low:.3f} to {one.high:.3f} | {one.outcome}"


def section(found, *, device, policy):
    """Write the section: where and how it was timed, the answer in a sentence, the table."""
    lines, judged, pooled = table(found, policy=policy)
    stable = environment.describe(str(device)).stable
    slower = [name for name, one in judged.items() if one.outcome == "slower"]
    said = f"{len(slower)} of {len(judged)} cases are slower: {'; '.join(slower)}." if slower else "No case is slower."
    counts = " to ".join(map(str, sorted({len(of[OURS].rounds) for of in found.values()})))
    machine = f"{stable.get('gpu') or stable['cpu']}, threads: {stable['threads']}, torch {stable['torch']}"
    machine += ", freed memory kept" if "MALLOC_MMAP_MAX_" in os.environ else ""
    return "\n".join(
        [
            f"Written by `python -m tests.evidence.peers.d2l_ratio --write docs/lesson.md` on {machine},",
            f"d2l {importlib.metadata.version('d2l')}; {counts} interleaved rounds in one process.",
            "",
            f"Over all cases ours takes {pooled.ratio:.3f} of the package's time (95 % interval {pooled.low:.3f} to",
            f"{pooled.high:.3f}). {said}",
            "",
            *lines,
        ]
    )


def main(arguments=None):
    """Measure, print the section, and write it into a page where asked; fail where a case is slower."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two cases, few rounds")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--write", type=Path, help=f"page whose section {SECTION!r} is replaced")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    policy = FAST if options.quick else DEFAULT
    found = measure(every(is_quick=options.quick), device=torch.device(options.device), policy=policy.timing)
    text = section(found, device=options.device, policy=policy.comparison)
    sys.stdout.write(text + "\n")
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(page, SECTION, text), encoding="utf-8")
    return any("| slower |" in line for line in text.splitlines())


def keep_memory():
    """Start anew with a C library that keeps its memory, as a run's workers do: else the heap's history is timed."""
    if not allocator.why_not("cpu", os.environ):
        os.execve(sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]], os.environ | allocator.KEEPING)


if __name__ == "__main__":
    keep_memory()
    raise SystemExit(main())
