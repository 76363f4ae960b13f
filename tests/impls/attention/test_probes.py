"""The battery of attention covers its options."""

from __future__ import annotations

import pytest
import torch

from harness.gate.battery import tasks
from impls import registry
from impls.attention._probes import KINDS, ONE_WAY, OPTIONS, PAIRS, TOGETHER
from impls.covering import wanted
from tests.support import attending


def setting(probe):
    """Read a probe back as options."""
    point = probe.point
    return {
        **{name: point[name] for name in ("n_q", "n_k", "causal", "valid_lens", "kv_heads", "batch", "d")},
        "group": point["heads"] // point["kv_heads"],
        "d_v": "d" if point["d_v"] == point["d"] else point["d_v"],
        "kind": probe.kind,
        "upstream": probe.upstream,
    }.items()


@pytest.mark.parametrize(("probes", "strength", "more"), [(ONE_WAY, 1, ()), (PAIRS, 2, TOGETHER)])
def test_the_battery_of_attention_covers_its_options(probes, strength, more):
    settings = [setting(probe) for probe in probes]
    lacking = [held for held in wanted(OPTIONS, strength=strength, more=more) if not any(held <= s for s in settings)]
    assert lacking == []


def test_each_option_of_the_array_is_met_in_both_directions_and_some_by_quick():
    listed = tasks(registry.problem("attention"))
    assert {task.direction for task in listed if task.probe in PAIRS} == {"forward", "backward"}
    quick = {task.probe.kind for task in tasks(registry.problem("attention"), quick=True)}
    assert quick >= set(OPTIONS["kind"])


ATTENTION = registry.problem("attention")
POINT = ATTENTION.parse({"n": 12, "d": 8, "heads": 4, "kv_heads": 2, "batch": 2, "valid_lens": "batch"})


def drawn(kind, *, dtype=torch.float32):
    return ATTENTION.inputs(POINT, dtype=dtype, device=torch.device("cpu"), seed=0, kind=kind)


@pytest.mark.parametrize("kind", ["transposed", "sliced", "columns", "one buffer"])
def test_a_layout_keeps_the_values(kind):
    for laid_out, plain in zip(drawn(kind).tensors, drawn("normal").tensors, strict=True):
        assert torch.equal(laid_out, plain)


def test_layouts_are_what_they_are_called():
    assert drawn("columns").q.stride(-1) == 12
    assert drawn("shared batch").k.stride(0) == drawn("shared heads").v.stride(1) == 0
    assert len({tensor.untyped_storage().data_ptr() for tensor in drawn("one buffer").differentiable}) == 1


def test_only_padding_holds_rubbish():
    inputs, plain = drawn("NaN padding"), drawn("normal")
    for k, kept, length in zip(inputs.k, plain.k, inputs.valid_lens.tolist(), strict=True):
        assert torch.equal(k[:, :length], kept[:, :length])
        assert bool(k[:, length:].isnan().all())
    assert bool(drawn("huge padding", dtype=torch.float16).k.isfinite().all())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "NaN query"])
def test_a_kind_of_input_is_finite_and_drawn_again_from_its_seed(kind):
    point = {"n": 20, "d": 8, "heads": 2, "kv_heads": 1}
    first, second = (attending.drawn(point, dtype=torch.float16, kind=kind) for _ in range(2))
    assert all(tensor.isfinite().all() for tensor in first.tensors)
    assert all(torch.equal(a, b) for a, b in zip(first.tensors, second.tensors, strict=True))
    assert first.q.is_contiguous() == (kind not in {"transposed", "sliced", "columns", "one buffer"})
