"""The plugin for pytest: `attention_gate` holds a kernel to the gate; nothing of ours is imported before its use.

It is a package of its own because pytest imports its plugins in every project: `attnbench` refuses to start beside a
folder that takes the place of one of its packages, and must not do so where nobody asked for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.runner.check import Report


class Gate(Protocol):
    """Hold an implementation to the gate's battery; the test fails where it disagrees, gives no answer or is not asked.

    `name` is registered, by attnbench, an installed package or whatever the test imported; `file` registers some, and
    is found beside the test. `dtypes` are those declared if none is given; `probes` keeps the probes whose title
    contains it; `quick=False` asks the whole battery. The test is skipped if all of it runs on other devices only.
    """

    def __call__(  # noqa: D102
        self,
        name: str | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
        dtypes: str | Iterable[str] = (),
        probes: str = "",
        quick: bool = True,
        problem: str = "attention",
        device: str | None = None,
        seed: int = 0,
    ) -> Report: ...


@pytest.fixture
def attention_gate(request: pytest.FixtureRequest) -> Gate:
    """Hold a kernel to attnbench's gate: `attention_gate("mine", dtypes="float16", probes="causal")`."""
    folder = request.path.parent

    def gate(
        name: str | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
        dtypes: str | Iterable[str] = (),
        probes: str = "",
        quick: bool = True,
        problem: str = "attention",
        device: str | None = None,
        seed: int = 0,
    ) -> Report:
        from attnbench.gating import Asked, GateError, hold, import_folders, mistakes, why_skipped

        asked = Asked(
            name=name,
            file=None if file is None else Path(folder, file),
            dtypes=(dtypes,) if isinstance(dtypes, str) else tuple(dtypes),
            probes=probes,
            quick=quick,
            problem=problem,
            device=device,
            seed=seed,
        )
        with pytest.MonkeyPatch.context() as patch:
            # The worker imports what the test can.
            patch.setenv("PYTHONPATH", os.pathsep.join(import_folders()))
            try:
                report = hold(asked)
            except GateError as error:
                raise pytest.fail.Exception(str(error), pytrace=False) from None
        if reason := why_skipped(report):
            pytest.skip(reason)
        if text := mistakes(report, asked):
            pytest.fail(text, pytrace=False)
        return report

    return gate
