"""Compiled flex attention: any mask of the contract, any number of shapes, and no time spent compiling unasked."""

from __future__ import annotations

import pytest
import torch

from harness.gate.agreement import agree
from harness.instruments import counting, degrees
from harness.policy import GatePolicy
from impls import discovery, registry
from impls.attention import problem as attention
from impls.multihead import problem as multihead
from impls.subject import Subject
from scenarios import catalog

CPU = torch.device("cpu")
discovery.discover()
if ("attention", "flex") in registry.REGISTRY.unavailable:
    pytest.skip(registry.REGISTRY.unavailable["attention", "flex"].reason, allow_module_level=True)
FLEX = registry.get("attention", "flex")


def gate(point, *, dtype=torch.float32, seed=0):
    subject = Subject(attention, FLEX, attention.parse(point), dtype, CPU)
    return agree(subject, seed=seed, policy=GatePolicy())


@pytest.mark.slow
def test_more_shapes_than_the_compiler_remembers_all_agree():
    # Eight recompilations of one function are the compiler's own limit; two show the same in a quarter of the time.
    with torch._dynamo.config.patch(recompile_limit=2):
        for n in range(3, 7):
            assert gate({"n": n, "d": 8, "heads": 2}).passed, n


@pytest.mark.parametrize(
    "mask",
    [
        {"causal": True, "n_q": 20, "n_k": 45},
        {"causal": True, "n_q": 45, "n_k": 20},
        {"n": 33, "valid_lens": 0},
        {"n": 33, "valid_lens": "batch", "causal": True},
        {"n": 140, "valid_lens": "rows", "kv_heads": 1},
    ],
    ids=str,
)
def test_every_mask_of_the_contract_agrees(mask):
    agreement = gate({"d": 16, "heads": 2, "batch": 2, **mask})
    assert agreement.passed, agreement.worst


def test_a_kernel_is_compiled_once_for_a_shape_and_serves_new_lengths():
    point = attention.parse({"n": 40, "d": 16, "heads": 2, "batch": 2, "valid_lens": "rows"})
    compiled = torch._dynamo.utils.counters["stats"]
    first = attention.inputs(point, dtype=torch.float32, device=CPU, seed=0)
    with torch.no_grad():
        attention.bind(FLEX, first)()
        before = compiled["unique_graphs"]
        shorter = attention.Inputs(first.q, first.k, first.v, valid_lens=(first.valid_lens + 1) // 2)
        out = attention.bind(FLEX, shorter)()
    assert compiled["unique_graphs"] == before
    plain = registry.get("attention", "batched").function
    torch.testing.assert_close(out, plain(first.q, first.k, first.v, valid_lens=shorter.valid_lens))


def test_counting_leaves_a_compiled_kernel_as_it_was():
    inputs = attention.inputs(attention.parse({"n": 24, "d": 8}), dtype=torch.float32, device=CPU, seed=0)
    with torch.no_grad():
        call = attention.bind(FLEX, inputs)
        before = call()
        counted = counting.count(call)
        assert counted.how == "declared"
        assert "refuses to run while operators are counted" in counted.opaque[0]
        assert torch.equal(call(), before)


def test_what_is_compiled_from_plain_operators_is_counted_as_it_is_written():
    x = torch.ones(8, 8)
    compiled = torch.compile(lambda: x @ x, backend="eager")
    compiled()
    assert counting.count(compiled).products == 2 * 8**3


def test_a_kernel_that_refuses_to_be_counted_is_not_compiled_for_every_size():
    compiled = torch._dynamo.utils.counters["stats"]
    before = compiled["unique_graphs"]
    found = degrees.degrees(attention, FLEX, device=CPU, dtype=torch.float32)
    assert found.how == "declared"
    assert compiled["unique_graphs"] <= before + 1


def test_in_a_module_it_compiles_before_the_call_that_is_measured():
    entry = registry.get("multihead", "mha/flex")
    inputs = multihead.inputs(
        multihead.parse({"n": 26, "width": 16, "heads": 2}), dtype=torch.float32, device=CPU, seed=0
    )
    compiled = torch._dynamo.utils.counters["stats"]
    with torch.no_grad():
        call = multihead.bind(entry, inputs)
        before = compiled["unique_graphs"]
        out = call()
    assert compiled["unique_graphs"] == before
    torch.testing.assert_close(out, multihead.bind(registry.get("multihead", "d2l"), inputs)())


@pytest.mark.parametrize("scenario", catalog.CATALOG, ids=lambda scenario: scenario.name)
def test_only_its_own_scenario_compiles_unasked(scenario):
    from harness.runner.plan import expand
    from harness.runner.selection import Selection

    names = {of: registry.names(of) for of in ("attention", "multihead", "pooling", "varlen")}
    cases, _ = expand([scenario], names=names, selection=Selection(), device="cpu")
    assert any("flex" in case.implementation for case in cases) == (scenario.name == "compiled")


def test_without_a_compiler_it_is_unavailable_with_the_reason():
    import os
    import subprocess
    import sys

    code = (
        "from impls import discovery, registry\n"
        "found = discovery.discover()\n"
        "print(found.unavailable['attention', 'flex'].reason, 'mha/batched' in registry.names('multihead'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "CXX": "no-such-cxx"},
    )
    assert done.stdout.startswith("ImportError: needs a C++ compiler: there is no 'no-such-cxx'")
    assert done.stdout.endswith("True\n")
