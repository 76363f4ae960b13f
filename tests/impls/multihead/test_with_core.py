"""Every implementation of attention stands in a module of its name, whenever it is registered."""

from __future__ import annotations

import subprocess
import sys

import torch

from impls import registry
from tests.support.modules import PROBES, gate


def test_every_attention_implementation_is_placed_in_a_module():
    placed = {name.removeprefix("mha/") for name in registry.names("multihead") if name.startswith("mha/")}
    assert placed == set(registry.names("attention"))


def test_an_attention_implementation_registered_later_is_placed_too():
    @registry.register(problem="attention", name="late", devices=("cpu",), supports=("valid_lens",))
    def late(q, k, v, *, causal=False, scale=None, valid_lens=None):
        return torch.zeros_like(q)

    try:
        entry = registry.get("multihead", "mha/late")
        assert entry.limits_on("cpu").supports == {"valid_lens", "cross_attention", "query_size", "odd_heads"}
        point = registry.parse(entry, PROBES["plain"].point)
        assert not gate(entry, point).passed
    finally:
        del registry.REGISTRY.entries["attention", "late"], registry.REGISTRY.entries["multihead", "mha/late"]


def test_one_broken_attention_file_leaves_the_modules_standing():
    code = (
        "import sys\n"
        "sys.modules['impls.attention.loop'] = None\n"
        "from impls import discovery, registry\n"
        "found = discovery.discover()\n"
        "print('mha/batched' in registry.names('multihead'), 'mha/loop' in registry.names('multihead'))\n"
        "print(found.unavailable['attention', 'loop'].reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True False\n")
    assert "loop" in done.stdout
