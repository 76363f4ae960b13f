"""The kernel that `turns` calls a tenth slower does a tenth more work, at each of its sizes."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import attnbench
from tests.evidence.turns import KERNEL, SIZES


def operations(n, *, more):
    """Count the multiplications and additions of a call of the kernel."""
    names = {}
    exec(KERNEL.format(more=more), names)
    q, k, v = torch.zeros(3, 1, 1, n, 8)
    with FlopCounterMode(display=False) as counter:
        names["mine"](q, k, v)
    return counter.get_total_flops()


@pytest.mark.parametrize("n", [int(size) for size in SIZES.removeprefix("n=").split(",")])
def test_a_tenth_slower_is_a_tenth_more_work(n, monkeypatch):
    # Nothing that other tests would find is registered.
    monkeypatch.setattr(attnbench, "register", lambda **_: lambda function: function)
    plain = operations(n, more=0)
    assert plain == 4 * n * n * 8
    assert operations(n, more=1) / plain == pytest.approx(1.1, abs=0.002)
