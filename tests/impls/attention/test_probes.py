"""The battery of attention covers its options."""

from __future__ import annotations

import pytest
import torch

from harness.gate.battery import tasks
from impls.attention import problem as attention
from impls.attention._probes import (
    CROSSED,
    KINDS,
    LAYOUTS,
    ONE_WAY,
    OPTIONS,
    PADDING,
    PAIRS,
    PROBES,
    TOGETHER,
    with_rare,
)
from impls.covering import wanted
from tests.support import attending


def setting(probe):
    """Read a probe back as options."""
    point, held = probe.point, probe.kind.split(", ")
    return {
        **{name: point[name] for name in point if name != "heads"},
        "group": point["heads"] // point["kv_heads"],
        "d_v": "d" if point["d_v"] == point["d"] else point["d_v"],
        "values": next((word for word in held if word in OPTIONS["values"]), "normal"),
        "layout": next((word for word in held if word in LAYOUTS), "in order"),
        "upstream": probe.upstream,
    }.items()


@pytest.mark.parametrize(("probes", "strength", "more"), [(ONE_WAY, 1, ()), (PAIRS, 2, TOGETHER)])
def test_the_battery_of_attention_covers_its_options(probes, strength, more):
    settings = [setting(probe) for probe in probes]
    lacking = [held for held in wanted(OPTIONS, strength=strength, more=more) if not any(held <= s for s in settings)]
    assert lacking == []


@pytest.mark.parametrize("name", CROSSED)
def test_a_rare_feature_occurs_with_each_value_of_every_option(name):
    options, together = with_rare(name)
    settings = [setting(probe) for probe in CROSSED[name]]
    lacking = [held for held in wanted(options, strength=1, more=together) if not any(held <= one for one in settings)]
    assert lacking == []
    assert {task.direction for task in tasks(attention) if task.probe in CROSSED[name]} == {"forward", "backward"}


def test_each_option_of_the_array_is_met_in_both_directions_and_some_by_quick():
    listed = tasks(attention)
    assert {task.direction for task in listed if task.probe in PAIRS} == {"forward", "backward"}
    quick = {word for task in tasks(attention, quick=True) for word in task.probe.kind.split(", ")}
    assert quick >= {*OPTIONS["values"], *LAYOUTS}


POINT = attention.parse({"n": 12, "d": 8, "heads": 4, "kv_heads": 2, "batch": 2, "valid_lens": "batch"})


def drawn(kind, *, dtype=torch.float32):
    return attention.inputs(POINT, dtype=dtype, device=torch.device("cpu"), seed=0, kind=kind)


@pytest.mark.parametrize("kind", sorted(LAYOUTS.keys() - {"shared batch", "shared heads"}))
def test_a_layout_keeps_the_values(kind):
    for laid_out, plain in zip(drawn(kind).tensors, drawn("normal").tensors, strict=True):
        assert torch.equal(laid_out, plain)


def test_layouts_are_what_they_are_called():
    assert drawn("columns").q.stride(-1) == drawn("values in columns").v.stride(-1) == 12
    assert drawn("values in columns").k.is_contiguous()
    assert drawn("every second").q.stride(-1) == 2
    assert drawn("shared batch").k.stride(0) == drawn("shared heads").v.stride(1) == 0
    assert len({tensor.untyped_storage().data_ptr() for tensor in drawn("one buffer").differentiable}) == 1


def test_a_kind_may_say_what_tensors_hold_and_how_they_lie():
    both, alone = drawn("huge logits, columns"), drawn("huge logits")
    assert torch.equal(both.q, alone.q)
    assert both.q.stride(-1) == 12


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
    assert first.q.is_contiguous() == (kind not in {"transposed", "sliced", "columns", "one buffer", "every second"})


def kind_of(kind, *, dtype=torch.float32, **point):
    return attending.drawn({"n": 9, "d": 4, **point}, dtype=dtype, kind=kind)


def weights(inputs):
    return (inputs.q.double() @ inputs.k.double().mT * inputs.q.shape[-1] ** -0.5).softmax(-1)


def test_a_needle_has_nearly_all_weight_on_each_querys_own_key():
    assert weights(kind_of("needle", d=64)).diagonal(dim1=-2, dim2=-1).min() > 0.9


def test_the_strongest_key_at_the_border_is_the_first_that_a_causal_mask_forbids():
    strongest = weights(kind_of("border needle", d=64)).argmax(-1).flatten().tolist()
    assert strongest[:-1] == list(range(1, 9))
    # The last query has no key after it.
    assert strongest[-1] == 8


@pytest.mark.parametrize(("kind", "deviation"), [("normal", 1), ("large logits", 8), ("huge logits", 40)])
def test_scores_have_the_deviation_that_their_kind_says(kind, deviation):
    inputs = kind_of(kind, n=64, d=64)
    scores = inputs.q @ inputs.k.mT / 8
    assert scores.std().item() == pytest.approx(deviation, rel=0.1)


def test_huge_logits_overflow_an_exponential_in_each_dtype_that_has_one():
    for dtype in (torch.float32, torch.float64):
        inputs = kind_of("huge logits", dtype=dtype, n=64, d=64)
        assert (inputs.q @ inputs.k.mT / 8).exp().isinf().any()


def test_values_at_the_edge_of_the_normal_numbers_sum_to_denormal_ones():
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        v = kind_of("tiny values", dtype=dtype).v.double().abs()
        assert 0 < v.median() < 2 * torch.finfo(dtype).tiny
        q = kind_of("denormal queries", dtype=dtype).q.double().abs()
        assert 0 < q.median() < torch.finfo(dtype).tiny


def test_large_products_pass_float16_before_they_are_scaled_and_not_after():
    inputs = kind_of("large products", dtype=torch.float16)
    products = inputs.q.double() @ inputs.k.double().mT
    assert products.max() > torch.finfo(torch.float16).max > (products * 0.5).max()


def test_one_query_alone_holds_nan():
    q = kind_of("NaN query", heads=2, batch=2).q
    assert q.isnan().any(-1).sum() == 1
    assert q[0, -1, 4].isnan().all()


def test_probes_ask_for_what_their_kind_needs():
    for probe in PROBES:
        assert ("dirty_padding" in probe.needs) == (probe.kind == "NaN padding"), probe.name
        assert probe.spoils_row == (probe.kind == "NaN query"), probe.name
        assert (probe.kind in PADDING) <= ("valid_lens" in probe.point), probe.name
        attention.parse(probe.point)
