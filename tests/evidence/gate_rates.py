"""How often the gate errs: wrong implementations accepted, honest ones rejected, beside others' published tolerances.

`python tests/evidence/gate_rates.py` prints the tables; `--write FILE` writes them as a page.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness.gate.agreement import agree
from harness.gate.known import Known
from harness.policy import GatePolicy
from harness.worker.__main__ import failure
from impls import discovery, registry
from impls.attention._probes import KINDS
from impls.contract import Probe
from impls.subject import Subject
from tests.harness.gate.test_mutants import first_disagreement
from tests.support.mutants import MUTANTS, Mutant, honest

if TYPE_CHECKING:
    from collections.abc import Callable

    from impls.contract import Implementation

# Enough for 8000 honest results.
SEEDS = 360
UPSTREAM = ("dense", "strided", "expanded")
PROBLEM = registry.problem("attention")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Rule:
    """A published tolerance: whether it accepts an output, given a plain one of the same dtype and the exact one."""

    name: str
    source: str
    accepts: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], bool]


def flash_attention(out: torch.Tensor, plain: torch.Tensor, exact: torch.Tensor) -> bool:
    return bool((out - exact).abs().max() <= 2 * (plain - exact).abs().max())


def tritonbench(out: torch.Tensor, plain: torch.Tensor, _: torch.Tensor) -> bool:
    return torch.allclose(out, plain, atol=2e-2, rtol=1e-2)


def kernel_bench(out: torch.Tensor, plain: torch.Tensor, _: torch.Tensor) -> bool:
    tolerance = 1e-4 if plain.dtype == torch.float32 else 1e-2
    return torch.allclose(plain, out, atol=tolerance, rtol=tolerance)


def flashinfer(out: torch.Tensor, plain: torch.Tensor, _: torch.Tensor) -> bool:
    return bool(torch.isclose(plain, out, atol=1e-2, rtol=2e-1).all())


RULES = (
    Rule("flash-attention", "tests/test_flash_attn.py: max error <= 2 x that of PyTorch in the dtype", flash_attention),
    Rule("tritonbench", "flash_attention operator: assert_close, atol 2e-2, rtol 1e-2", tritonbench),
    Rule("KernelBench", "allclose(reference, output), atol = rtol = 1e-4 in float32, 1e-2 in 16 bits", kernel_bench),
    Rule("flashinfer", "benchmark --refcheck: isclose(reference, output), rtol 2e-1, atol 1e-2", flashinfer),
)
# What such a check is usually run on: standard normal inputs at one middling and one long shape.
ORDINARY = (
    Probe("n 512, causal", {"n": 512, "d": 64, "heads": 2, "causal": True}),
    Probe("n_k 8192", {"n_q": 128, "n_k": 8192, "d": 64}),
)
PUBLISHED_DTYPES = ("float32", "bfloat16", "float16")
# Published rules say nothing of rows that are not finite, nor of what only some kernels offer.
COMPARABLE = tuple(
    probe
    for probe in PROBLEM.PROBES
    if not probe.needs and not probe.spoils_row and not probe.point.keys() & set(registry.RARE)
)
# Kinds that go with any shape; the others need a size, a length or a feature that the battery gives them.
ANY_SHAPE = tuple(kind for kind in KINDS if not kind.startswith("NaN") and kind != "large products")


def accepting(mutant: Mutant, dtype: str, probes: tuple[Probe, ...]) -> list[str]:
    """Name the rules that accept the mutant's forward on every probe, in one call each."""
    function, names = mutant.build(), {rule.name for rule in RULES}
    torch.manual_seed(0)
    for probe in probes:
        inputs = PROBLEM.inputs(
            PROBLEM.parse(probe.point), dtype=getattr(torch, dtype), device=CPU, seed=0, kind=probe.kind
        )
        with torch.no_grad():
            wide = (tensor.double() for tensor in (inputs.q, inputs.k, inputs.v))
            exact, plain = honest(*wide, **inputs.options), honest(inputs.q, inputs.k, inputs.v, **inputs.options)
            copies = [tensor.clone() for tensor in (inputs.q, inputs.k, inputs.v)]
            out = function(*copies, **inputs.options)
        if not isinstance(out, torch.Tensor) or out.shape != plain.shape or out.dtype != plain.dtype:
            return []
        names &= {rule.name for rule in RULES if rule.accepts(out, plain, exact)}
    return sorted(names)


def honest_rejections() -> tuple[int, dict[str, int]]:
    """Count honest forward results on the battery's inputs, and those that each published rule rejects."""
    results, rejections = 0, dict.fromkeys((rule.name for rule in RULES), 0)
    for entry in asked():
        limits = entry.limits_on("cpu")
        for dtype, probe in itertools.product(PUBLISHED_DTYPES, COMPARABLE):
            point = PROBLEM.parse(probe.point)
            if not PROBLEM.features(point, direction="forward") <= limits.supports:
                continue
            inputs = PROBLEM.inputs(point, dtype=getattr(torch, dtype), device=CPU, seed=0, kind=probe.kind)
            with torch.no_grad(), entry.entered():
                wide = (tensor.double() for tensor in (inputs.q, inputs.k, inputs.v))
                exact, plain = honest(*wide, **inputs.options), honest(inputs.q, inputs.k, inputs.v, **inputs.options)
                try:
                    out = PROBLEM.bind(entry, inputs)()
                except RuntimeError as error:
                    if failure(error).status != "unsupported":
                        raise
                    continue
            results += 1
            for rule in RULES:
                rejections[rule.name] += not rule.accepts(out, plain, exact)
    return results, rejections


def random_point(generator: random.Random) -> dict[str, object]:
    """Draw sizes, masks and head counts that no probe was made for."""
    group = generator.choice((1, 1, 2, 4))
    kv_heads = generator.choice((1, 2))
    n_k = generator.randint(1, 160)
    point: dict[str, object] = {
        "n_q": generator.choice((n_k, generator.randint(1, 80))),
        "n_k": n_k,
        "d": generator.choice((1, 8, 17, 32, 64, 80)),
        "heads": kv_heads * group,
        "kv_heads": kv_heads,
        "batch": generator.choice((1, 2)),
        "causal": generator.random() < 0.5,
        "valid_lens": generator.choice((None, None, "batch", "rows", "batch_ends", "batch_empty", "rows_empty")),
        "scale": generator.choice((None, None, None, 0.3)),
    }
    if generator.random() < 0.25:
        point["d_v"] = generator.choice((5, 24, 64))
    return point


def asked() -> list[Implementation]:
    """List the implementations that the page is about: those that run here as they come."""
    return [
        entry
        for entry in discovery.discover().entries.values()
        if entry.problem == "attention"
        and entry.limits_on("cpu") is not None
        and entry.prepare is None
        and not entry.on_request
        and not entry.chosen
    ]


def honest_rates() -> dict[str, tuple[int, int, float]]:
    """Return checks, rejections and largest ratio of each implementation over random seeds, shapes, kinds, layouts."""
    entries = asked()
    rates = {entry.name: (0, 0, 0.0) for entry in entries}
    for seed in range(SEEDS):
        generator, known = random.Random(seed), Known()
        point, kind = PROBLEM.parse(random_point(generator)), generator.choice(ANY_SHAPE)
        direction, upstream = ("forward", "backward")[seed % 2], generator.choice(UPSTREAM)
        for dtype, entry in itertools.product(registry.DTYPES, entries):
            limits = entry.limits_on("cpu")
            if dtype not in limits.dtypes or not PROBLEM.features(point, direction=direction) <= limits.supports:
                continue
            subject = Subject(PROBLEM, entry, point, getattr(torch, dtype), CPU, direction)
            try:
                found = agree(subject, seed=seed, policy=GatePolicy(), kind=kind, known=known, upstream=upstream)
            except RuntimeError as error:
                # Takes no inputs of this layout, as the battery's probes say too.
                if failure(error).status != "unsupported":
                    raise
                continue
            checks, rejected, largest = rates[entry.name]
            rates[entry.name] = (checks + 1, rejected + (not found.passed), max(largest, found.ratio or 0.0))
        if seed % 20 == 19:
            say(f"honest implementations: {seed + 1} of {SEEDS} inputs")
    return rates


def say(line: str) -> None:
    """Tell how far it is, beside the page."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@dataclass(frozen=True)
class Row:
    """What became of a mutant: dtypes rejected, and those that each published rule accepts on two sets of inputs."""

    mutant: Mutant
    rejected: list[str]
    ordinary: dict[str, list[str]]
    battery: dict[str, list[str]]

    @property
    def published(self) -> list[str]:
        """List the dtypes in which the published rules, of forward results, can be compared."""
        return comparable_dtypes(self.mutant)


def comparable_dtypes(mutant: Mutant) -> list[str]:
    if mutant.backward_only or mutant.problem != "attention" or mutant.claims:
        return []
    return [dtype for dtype in mutant.wrong_in if dtype in PUBLISHED_DTYPES]


def examined(mutant: Mutant) -> Row:
    """Hold a mutant against the gate and the published rules."""
    rejected = [
        dtype
        for dtype in mutant.wrong_in
        if first_disagreement(mutant.build(), dtype, problem=mutant.problem, claims=mutant.claims) is not None
    ]
    through = []
    for probes in (ORDINARY, COMPARABLE):
        by_dtype = {dtype: accepting(mutant, dtype, probes) for dtype in comparable_dtypes(mutant)}
        through.append({rule.name: [d for d, names in by_dtype.items() if rule.name in names] for rule in RULES})
    return Row(mutant, rejected, *through)


def page() -> tuple[str, bool]:
    """Return the page, and whether the gate made no error."""
    rates, rows = honest_rates(), []
    for number, mutant in enumerate(MUTANTS.values(), 1):
        rows.append(examined(mutant))
        if number % 10 == 0:
            say(f"mutants: {number} of {len(MUTANTS)}")
    results, rejections = honest_rejections()
    planted, caught = sum(len(row.mutant.wrong_in) for row in rows), sum(len(row.rejected) for row in rows)
    checks, refused = sum(rate[0] for rate in rates.values()), sum(rate[1] for rate in rates.values())
    text = PAGE.format(
        seeds=SEEDS,
        mutants=len(rows),
        planted=planted,
        caught=caught,
        missed=planted - caught,
        checks=checks,
        refused=refused,
        accepted=checks - refused,
        comparable=sum(len(row.published) for row in rows),
        honest="\n".join(f"| {name} | {n} | {bad} | {ratio:.2f} |" for name, (n, bad, ratio) in rates.items()),
        rules="\n".join(
            f"| {rule.name} | {rule.source} | {sum(len(row.ordinary[rule.name]) for row in rows)} "
            f"| {sum(len(row.battery[rule.name]) for row in rows)} | {rejections[rule.name]} |"
            for rule in RULES
        ),
        results=results,
        headings=" | ".join(rule.name for rule in RULES),
        rulers="---|" * len(RULES),
        rows="\n".join(map(line, rows)),
    )
    return text, planted == caught and refused == 0


def line(row: Row) -> str:
    """Return a mutant's line of the table."""
    wrong = list(row.mutant.wrong_in)
    cells = [
        row.mutant.name,
        short(wrong),
        "yes" if wrong == row.rejected else f"no: {short(row.rejected)}",
        *(short(row.battery[rule.name]) if row.published else "not compared" for rule in RULES),
    ]
    return f"| {' | '.join(cells)} |"


PAGE = """# What the gate rejects, and what it accepts

Written by `nox -s gates`; every figure comes from running it, on the CPU. The same session tests each implementation
and mutant in every dtype (`pytest --all-gates`); the ordinary suite takes one dtype of each.

| | checked | rejected | accepted |
|---|---|---|---|
| {mutants} wrong implementations x dtypes in which rounding is no excuse | {planted} | {caught} | {missed} |
| honest implementations x {seeds} random seeds, shapes, kinds x dtypes | {checks} | {refused} | {accepted} |

## Honest implementations

The ratio is the largest error over its budget; above 1 is a rejection.

| implementation | checks | rejected | largest ratio |
|---|---|---|---|
{honest}

## Published tolerances on the same mutants

Their rules, written anew, on {comparable} wrong forward results (a mutant in float32, bfloat16 or float16; gradients
are not compared). "Ordinary inputs" are one call each on standard normal inputs at n = 512 (causal, 2 heads) and at
n_q = 128, n_k = 8192, as such checks are usually run. "This battery's inputs" shows the tolerance alone, on the same
probes that the gate uses, in one call each. A rule of numbers can't see a mutant that errs in state or in memory
(cached results, shared buffers, changed inputs): those count as accepted, because they are. flash-attention's tests
use their rule in 16 bits only, and check gradients too.

A tolerance can also be too tight: the last column counts, of {results} honest forward results on this battery's
inputs, those that a rule rejects; this gate's own figures stand in the first table.

| rule | as published | wrong accepted, ordinary inputs | wrong accepted, battery's inputs | honest rejected |
|---|---|---|---|---|
{rules}

## Mutant by mutant

The dtypes in which each is wrong, whether the gate rejects it in all of them, and those in which a published rule
accepts it on this battery's inputs.

| mutant | wrong in | rejected in all | {headings} |
|---|---|---|{rulers}
{rows}
"""


def short(dtypes: list[str]) -> str:
    """Abbreviate dtypes."""
    return " ".join(dtype.replace("bfloat", "bf").replace("float", "f") for dtype in dtypes)


def main() -> None:
    """Print the page, write it where asked, and fail where the gate made an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="file to write the page to")
    arguments = parser.parse_args()
    text, right = page()
    print(text)  # noqa: T201
    if arguments.write is not None:
        arguments.write.write_text(text, encoding="utf-8")
    raise SystemExit(0 if right else 1)


if __name__ == "__main__":
    main()
