"""Records of sweeps whose times, memory and counts follow given laws, for verdicts to judge."""

from __future__ import annotations

import numpy as np

from harness.records import AxisCounts, Case, Counts, Degrees, Memory, Record, Time, case_id
from scenarios.scenario import Axis, Scenario

SIZES = [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]


def scenario(*claims, problem="attention"):
    return Scenario(
        name="test", question="?", problem=problem, axes=[Axis(name="n", values=SIZES)], claims=list(claims)
    )


def record(seconds, *, point, implementation="batched", problem="attention", extra=None, phases=None, **options):
    identity = {"problem": problem, "point": point, "dtype": "float32", "device": "cpu", "direction": "forward"}
    identity |= {"cache": "hot", "implementation": implementation}
    samples = [seconds * factor for factor in (1.01, 1.0, 1.02, 1.0, 1.01, 1.03)]
    interval = {"low": 0.98 * seconds, "high": 1.02 * seconds}
    time = Time(samples=samples, rounds=3, round_lengths=[2, 2, 2], median=seconds, best=seconds, **interval)
    return Record(
        case=Case(id=case_id(**identity), scenario="test", **identity),
        status="ok",
        time=time,
        memory=None if extra is None else Memory(inputs=0, outputs=0, peak=extra),
        counts=None if phases is None else Counts(operations=1, attended=1, ideal_bytes=1, phases=phases),
        **options,
    )


def sweep(law, *, base=None, axis="n", sizes=SIZES, memory=None, phases=None, noise=0.01, **options):
    generator = np.random.default_rng(1)
    base = {"d": 64, "heads": 2, "batch": 1} if base is None else base
    return [
        record(
            law(n) * float(np.exp(generator.normal(0, noise))),
            point={**base, axis: n},
            extra=None if memory is None else int(memory(n)),
            phases=None if phases is None else phases(n),
            **options,
        )
        for n in sizes
    ]


def counts(law, *, sizes=range(1, 7), calls=lambda _: 7, products=None):
    from harness.scaling.exact import degree

    values = [law(n) for n in sizes]
    some = values if products is None else [products(n) for n in sizes]
    ran = [calls(n) for n in sizes]
    return AxisCounts(
        sizes=list(sizes),
        operations=values,
        products=some,
        calls=ran,
        degree=degree(values),
        products_degree=degree(some),
        calls_degree=degree(ran),
    )


QUADRATIC = {
    "n": counts(lambda n: 256 * n * n + 8 * n),
    **{axis: counts(lambda n: 256 * n + 3) for axis in ("d", "heads", "batch", "n_k")},
    "heads at fixed width": counts(lambda h: 4096 + 12 * h, products=lambda _: 4096),
}


def degrees(axes=None, *, implementation="batched", problem="attention", **options):
    fields = {"problem": problem, "implementation": implementation, "how": "counted"}
    return Degrees(**{**fields, "axes": QUADRATIC if axes is None else axes, **options})


def overall(verdicts, claim=None):
    found = [v for v in verdicts.verdicts if v.quantity == "all" and claim in {None, v.claim}]
    assert len(found) == 1, found
    return found[0]


def square(n):
    return 5e-6 + 2e-9 * n * n
