"""Every implementation of attention stands in a module of its name, whenever it is registered."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from impls import registry
from impls.attention.batched import batched
from impls.contract import Implementation, Limits
from impls.multihead import problem as multihead
from impls.multihead.d2l import d2l
from impls.multihead.with_core import place, split
from tests.support.modules import CPU, PROBES, gate


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


def entry(**declared):
    limits = Limits(("cpu",), ("float32",), frozenset({"causal", "gqa", "valid_lens", "backward"}), ("triton",))
    return Implementation("attention", "core", batched, (limits,), source="core.py", **declared)


def test_a_module_has_the_limits_of_its_core_and_what_any_module_can_do():
    (limits,) = place(entry()).limits
    assert limits.supports == {"valid_lens", "backward", "cross_attention", "query_size", "odd_heads"}
    assert (limits.devices, limits.dtypes, limits.requires) == (("cpu",), ("float32",), ("triton",))


def test_a_module_is_planned_and_entered_as_its_core():
    core = entry(score_buffers={"float32": 2.5}, call_seconds_per_row=1e-6, deterministic=False, within=torch.no_grad)
    placed = place(core)
    assert (placed.problem, placed.name, placed.source) == ("multihead", "mha/core", "core.py")
    assert placed.buffers("float32") == 2.5
    assert (placed.call_seconds_per_row, placed.deterministic) == (1e-6, False)
    assert placed.within is core.within
    assert placed.prepare is None


@pytest.mark.parametrize("point", [{"n": 5, "bias": True}, {"n_q": 3, "n_k": 4, "valid_lens": "rows", "key_size": 7}])
def test_a_module_around_a_right_core_gives_what_the_tutorials_gives(point):
    parsed = multihead.parse({"width": 6, "heads": 3, "batch": 2, **point})
    inputs = multihead.inputs(parsed, dtype=torch.float64, device=CPU, seed=0)
    expected = d2l(inputs.x_q, inputs.x_k, inputs.x_v, inputs.weights, **inputs.options)
    torch.testing.assert_close(multihead.bind(place(entry()), inputs)(), expected)


def test_a_core_that_prepares_makes_a_first_call_before_those_that_are_measured():
    calls = []

    def counted(q, k, v, **options):
        calls.append(tuple(q.shape))
        return batched(q, k, v, **options)

    core = entry(prepare=lambda *_: pytest.fail("the core prepares in its own call"))
    placed = place(replace(core, function=counted))
    inputs = multihead.inputs(
        multihead.parse({"n": 5, "width": 6, "heads": 3}), dtype=torch.float32, device=CPU, seed=0
    )
    call = multihead.bind(placed, inputs)
    assert calls == [(1, 3, 5, 2)]
    call()
    assert len(calls) == 2


def test_dropout_is_refused_by_name():
    inputs = multihead.inputs(
        multihead.parse({"n": 5, "width": 6, "dropout": 0.5}), dtype=torch.float32, device=CPU, seed=0
    )
    with pytest.raises(NotImplementedError, match="attention 'core' has no dropout"):
        multihead.bind(place(entry()), inputs)()


def test_heads_are_a_view_of_the_width():
    x = torch.arange(24.0).reshape(1, 3, 8)
    assert torch.equal(split(x, 2)[0, 1], x[0, :, 4:])
    assert split(x, 2).untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
