"""A small lesson with figures that are easily followed: four points, three queries, a training of four epochs."""

from __future__ import annotations

from typing import Any

from harness.lesson.facts import Example, Learning, Lesson, Method, Pooling, Training, Work

METHODS = ("average", "gaussian", "boxcar", "epanechnikov", "learned", "best")


def pooling() -> Pooling:
    """Give each method its place as its error, in hundredths, and as its number of turns."""
    methods = [
        Method(
            name=name,
            formula=f"formula of {name}",
            predictions=[1.0, 2.0, 1.0 + place],
            weights=[[0.25] * 4, [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0 - place / 10, place / 10]],
            error=(place + 1) / 100,
            bends=place,
        )
        for place, name in enumerate(METHODS)
    ]
    return Pooling(seed=1, x=[0.0, 1.0, 2.0, 3.0], y=[0.5, 1.5, 2.5, 1.0], grid=[0.5, 1.5, 2.5], truth=[1.0, 2.0, 2.0],
                   methods=methods)  # fmt: skip


def outcome(seed: int, **changes: Any) -> Training:
    known = {"start": 1.0, "first": 100.0, "second": 40.0, "last": 20.0, "largest_rise": 0.0, "w": 60.0}
    return Training(**{"seed": seed, **known, "best_w": 2.0, "best_loss": 10.0, **changes})


def learning() -> Learning:
    outcomes = [outcome(1), outcome(2, second=90.0, last=10.4, w=-3.0), outcome(3, w=-70.0)]
    return Learning(
        seed=1, why="it is the nearest", rate=0.5, losses=[100.0, 40.0, 20.0, 20.0], scales=[60.0, 61.0, 61.2, 61.3],
        best_w=2.0, best_loss=10.0, landscape=[(1.0, 30.0), (2.0, 10.0), (4.0, 15.0), (64.0, 20.0)], outcomes=outcomes,
    )  # fmt: skip


def lesson() -> Lesson:
    """Return a lesson whose work at n = 64 is split evenly, and at 128 by two thirds to what is quadratic."""
    work = [
        Work(n=n, width=32, heads=2, phases={"projections": 3 * n, "scores": half, "weighted sum": half, "output": n})
        for n, half in ((64, 128), (128, 512))
    ]
    example = Example(
        shape=[2, 4, 100], steps=[("fold heads", [10, 4, 20])], masks=["none"], between_rows=0.0, from_product=0.0,
        size=1.0, unit=1e-7,
    )  # fmt: skip
    return Lesson(
        created="2026-01-01T00:00:00+00:00", device="cpu", versions={"python": "3.11", "torch": "2.13"},
        pooling=pooling(), learning=learning(), example=example, fused=[], work=work, seconds=1.0,
    )  # fmt: skip
