"""A worker announces what it is, and takes orders only where it is one of ours."""

from __future__ import annotations

import os

import pytest

from harness.cluster.serving import Served, announce, perform
from harness.runner.plan import code_fingerprint


def test_a_worker_announces_its_place_and_code():
    said = announce(Served(on="h100", device="cuda:0", uuid="aa", cores=[0, 1], folder="."))
    assert (said.on, said.process, said.fingerprint) == ("h100", os.getpid(), code_fingerprint())
    assert said.place.endswith("aa cores 0-1")


def test_an_order_elsewhere_is_an_error():
    with pytest.raises(RuntimeError, match="no worker of attnbench"):
        perform("a", "{}")
