"""A workbench without a worker's process: on this CPU, or on a device that is only modelled."""

from __future__ import annotations

import torch

from harness.gate.known import Known
from harness.instruments.telemetry import sustained
from harness.policy import DEFAULT
from harness.worker.modelled import modelled_device
from harness.worker.workbench import CallsAccount, Workbench
from impls import discovery


def bench_on(device="cpu", *, policy=DEFAULT, announce=lambda _step: None, modelled=None, **changes):
    """Return a workbench with every registered implementation; a GPU's is modelled unless it is given."""
    if modelled is None and device != "cpu":
        modelled = modelled_device()
    settings = {
        "device": torch.device(device),
        "policy": policy,
        "announce": announce,
        "registry": discovery.discover(),
        "calls": CallsAccount(),
        "known": Known(),
        "rates": dict(modelled.rates) if modelled else {},
        "rest": sustained.Rest(policy.telemetry),
        "modelled": modelled,
    }
    return Workbench(**{**settings, **changes})
