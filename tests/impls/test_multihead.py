"""Multi-head attention: every module agrees with the oracle, and has the properties that the tutorial's one has."""

from __future__ import annotations

import dataclasses
import math
import sys

import pytest
import torch

from harness.gate.agreement import agree
from harness.policy import GatePolicy
from impls import discovery, registry
from impls.multihead import _oracle, _phases, _points, steps
from impls.multihead import problem as multihead
from impls.multihead._gradients import bounded_gradients
from impls.multihead.d2l import d2l
from impls.multihead.steps import Weights
from impls.numerics.errors import units
from impls.subject import Subject

CPU = torch.device("cpu")
discovery.discover()
MODULES = [name for name in registry.names("multihead") if registry.get("multihead", name).limits_on("cpu")]
# Modules whose attention is compiled for each shape; tests/test_gates.py holds them to the quick probes.
COMPILED = [name for name in MODULES if name.startswith("mha/flex")]
MODULES = [name for name in MODULES if name not in COMPILED]
WHOLE = [name for name in MODULES if not name.startswith("phase/")]
PROBES = {probe.name: probe for probe in multihead.PROBES}


def gate(entry, point, *, direction="forward", dtype=torch.float32, kind="normal", seed=1):
    subject = Subject(multihead, entry, point, dtype, CPU, direction)
    return agree(subject, seed=seed, policy=GatePolicy(), kind=kind)


def failures(agreement):
    return [(check.name, check.ratio, check.detail) for check in agreement.checks if not check.passed]


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_every_module_and_step_agrees_with_the_oracle(name, dtype, direction):
    entry = registry.get("multihead", name)
    limits = entry.limits_on("cpu")
    if str(dtype).removeprefix("torch.") not in limits.dtypes:
        pytest.skip(f"{name} has no {dtype}")
    checked = 0
    for probe in multihead.PROBES:
        try:
            point = registry.parse(entry, probe.point)
        except ValueError:
            assert entry.fixes, f"{name} refuses {probe.name}"
            continue
        if multihead.features(point, direction=direction) - limits.supports:
            continue
        agreement = gate(entry, point, direction=direction, dtype=dtype, kind=probe.kind)
        assert agreement.passed, (probe.name, failures(agreement))
        checked += 1
    expected = direction == "forward" or "backward" in limits.supports
    assert (checked > 0) == expected


def without_scale(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    stretched = weights._replace(w_q=weights.w_q * (weights.w_q.shape[0] / heads) ** 0.5)
    return d2l(x_q, x_k, x_v, stretched, heads=heads, valid_lens=valid_lens, dropout=dropout)


def without_mask(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    return d2l(x_q, x_k, x_v, weights, heads=heads, dropout=dropout)


def with_heads_mixed_up(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    turned = weights._replace(w_o=weights.w_o.roll(weights.w_o.shape[0] // heads, dims=1))
    return d2l(x_q, x_k, x_v, turned, heads=heads, valid_lens=valid_lens, dropout=dropout)


def with_keys_for_values(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    return d2l(x_q, x_k, x_k, weights._replace(w_v=weights.w_k), heads=heads, valid_lens=valid_lens, dropout=dropout)


def a_hundredth_too_large(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
    return 1.01 * d2l(x_q, x_k, x_v, weights, heads=heads, valid_lens=valid_lens, dropout=dropout)


@pytest.mark.parametrize(
    "broken", [without_scale, without_mask, with_heads_mixed_up, with_keys_for_values, a_hundredth_too_large]
)
def test_a_broken_module_is_rejected(broken):
    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=broken)
    point = registry.parse(entry, PROBES["lengths per batch element"].point)
    assert not gate(entry, point).passed


def test_a_module_with_a_detached_projection_is_rejected():
    def detached(x_q, x_k, x_v, weights, **options):
        return d2l(x_q, x_k, x_v, weights._replace(w_k=weights.w_k.detach() + 0.0 * weights.w_k), **options)

    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=detached)
    agreement = gate(entry, registry.parse(entry, PROBES["plain"].point), direction="forward+backward")
    assert {name.split()[0] for name, _, _ in failures(agreement)} == {"dw_k"}


class Changed(torch.autograd.Function):
    """Pass a tensor on, and its gradient through a function."""

    @staticmethod
    def forward(context, x, change):
        context.change = change
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        return context.change(gradient), None


def with_weights(**changes):
    """Return d2l's function with weights passed through the named functions first."""

    def broken(x_q, x_k, x_v, weights, **options):
        return d2l(
            x_q, x_k, x_v, weights._replace(**{n: f(getattr(weights, n)) for n, f in changes.items()}), **options
        )

    return broken


def without_gradient(tensor):
    return tensor.detach() + 0.0 * tensor


def gradients_found_wrong(broken, probe, *, dtype=torch.float64):
    """Return the names of the tensors whose checks fail, of a module that is right but for its gradients."""
    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=broken)
    point = registry.parse(entry, PROBES[probe].point)
    assert gate(entry, point, dtype=dtype).passed, "its output is right"
    return {name.split()[0] for name, _, _ in failures(gate(entry, point, dtype=dtype, direction="forward+backward"))}


PARAMETERS = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_v", "b_o")


@pytest.mark.parametrize("probe", ["bias", "large logits", "lengths per row", "other sizes", "the tutorial's shapes"])
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_float64_gradient_that_is_a_billionth_too_large_is_rejected(parameter, probe):
    if parameter.startswith("b_") and probe != "bias":
        pytest.skip("the probe has no biases")
    broken = with_weights(**{parameter: lambda w: Changed.apply(w, lambda gradient: gradient * (1 + 1e-9))})
    assert gradients_found_wrong(broken, probe) == {f"d{parameter}"}


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_a_gradient_that_is_left_out_is_rejected_in_float64(parameter):
    assert gradients_found_wrong(with_weights(**{parameter: without_gradient}), "bias") == {f"d{parameter}"}


def test_a_key_bias_whose_gradient_is_not_zero_is_rejected_in_float64():
    # Softmax doesn't see what is added to all scores of a row, so the exact gradient is zero.
    broken = with_weights(b_k=lambda b: Changed.apply(b, lambda gradient: gradient + 1e-9))
    assert gradients_found_wrong(broken, "bias") == {"db_k"}


def test_a_float64_gradient_held_in_single_precision_is_rejected():
    broken = with_weights(w_v=lambda w: Changed.apply(w, lambda gradient: gradient.float().double()))
    assert gradients_found_wrong(broken, "plain") == {"dw_v"}


@pytest.mark.parametrize("path", ["queries", "keys", "values"])
@pytest.mark.parametrize("factor", [0.0, 1 + 1e-8], ids=["missing", "off"])
def test_an_input_whose_gradient_lacks_a_path_is_rejected_in_float64(path, factor):
    def wrong(x):
        return Changed.apply(x, lambda gradient: gradient * factor)

    def broken(x_q, x_k, x_v, weights, **options):
        sources = {"queries": x_q, "keys": x_k, "values": x_v}
        return d2l(*(wrong(x) if name == path else x for name, x in sources.items()), weights, **options)

    assert gradients_found_wrong(broken, "plain") == {"dx"}


def test_a_backward_that_stops_at_the_normaliser_is_rejected_in_float64():
    def broken(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
        q, k, v = (steps.project(x, w, None, heads=heads) for x, w in zip((x_q, x_k, x_v), weights[:3], strict=True))
        scores = steps.score(q, k)
        heights = (scores - scores.detach().amax(-1, keepdim=True)).exp()
        attention = heights / heights.sum(-1, keepdim=True).detach()
        return steps.combine(steps.weigh(attention, v), weights.w_o, None, heads=heads)

    assert gradients_found_wrong(broken, "plain") == {"dx", "dw_q", "dw_k"}


def test_a_gradient_left_out_under_dropout_is_rejected_in_float64_too():
    entry = registry.get("multihead", "d2l")
    point = registry.parse(entry, {"n": 128, "width": 64, "heads": 4, "dropout": 0.5})
    both = {"direction": "forward+backward", "dtype": torch.float64}
    assert gate(entry, point, **both).passed
    broken = dataclasses.replace(entry, function=with_weights(w_v=without_gradient))
    assert {name.split()[0] for name, _, _ in failures(gate(broken, point, **both))} == {"dw_v"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("sizes", [{"n_q": 40, "n_k": 1}, {"n_q": 1, "n_k": 6}], ids=["one key", "one query"])
@pytest.mark.parametrize("name", ["d2l", "torch-module", "mha/sdpa-flash", "mha/online"])
def test_what_fused_kernels_leave_of_a_gradient_that_cancels_is_no_mistake(name, sizes, dtype):
    # With one key the weights are one whatever the scores, and the exact gradients of queries and keys are zero.
    entry = registry.get("multihead", name)
    point = registry.parse(entry, {**sizes, "width": 40, "heads": 5, "batch": 3, "bias": True})
    for seed in range(5):
        found = gate(entry, point, dtype=dtype, direction="forward+backward", kind="large logits", seed=seed)
        assert found.passed, failures(found)


@pytest.mark.parametrize("probe", ["bias", "lengths per row", "cross-attention", "large logits"])
def test_the_analysed_backward_is_autograds(probe):
    point = multihead.parse(PROBES[probe].point)
    inputs = multihead.inputs(point, dtype=torch.float64, device=CPU, seed=3, kind=PROBES[probe].kind)
    gradient = torch.randn(point.n_q, point.width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = torch.arange(point.n_q)
    mask = _oracle._mask(inputs, 0, rows)
    sources = [x[0].clone().requires_grad_(True) for x in (inputs.x_q, inputs.x_k, inputs.x_v)]
    parameters = {name: w.clone().requires_grad_(True) for name, w in inputs.parameters.items()}
    out = _oracle.plain(sources, Weights(**parameters), heads=point.heads, mask=mask)
    expected = torch.autograd.grad(out, [*sources, *parameters.values()], gradient)
    found = bounded_gradients(
        [x.detach() for x in sources], inputs.weights, gradient,
        heads=point.heads, mask=mask, unit=units(torch.float64, CPU), terms=point.n_k,
    )  # fmt: skip
    for name, exact in zip(("x_q", "x_k", "x_v", *parameters), expected, strict=True):
        assert ((found[name].value - exact).abs() <= found[name].bound).all(), name


@pytest.mark.parametrize("wrong", ["zeros", "not rescaled"])
def test_a_wrong_dropout_is_rejected(wrong):
    def broken(x_q, x_k, x_v, weights, *, heads, valid_lens=None, dropout=0.0):
        out = d2l(x_q, x_k, x_v, weights, heads=heads, valid_lens=valid_lens, dropout=dropout)
        return torch.zeros_like(out) if wrong == "zeros" else out * (1 - dropout)

    entry = dataclasses.replace(registry.get("multihead", "d2l"), function=broken)
    point = registry.parse(entry, {"n": 128, "width": 64, "heads": 4, "dropout": 0.5})
    assert gate(registry.get("multihead", "d2l"), point).passed
    assert not gate(entry, point).passed


@pytest.mark.parametrize(
    "name", [n for n in WHOLE if "dropout" in registry.get("multihead", n).limits_on("cpu").supports]
)
def test_dropout_drops_weights_at_its_rate_and_rescales_the_rest(name):
    # With one-hot values and an identity for the output, the output of a single head is its row of weights.
    n, rate = 64, 0.3
    eye = torch.eye(n)
    weights = Weights(torch.zeros(n, n), torch.zeros(n, n), eye, eye)
    inputs = multihead.Inputs(eye[None], eye[None], eye[None], weights, heads=1, dropout=rate)
    torch.manual_seed(3)
    out = multihead.bind(registry.get("multihead", name), inputs)()[0]
    kept = out != 0
    assert torch.allclose(out[kept], torch.tensor(1 / n / (1 - rate)))
    # Five standard deviations of a binomial share.
    assert abs(kept.double().mean().item() - (1 - rate)) < 5 * math.sqrt(rate * (1 - rate)) / n


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", WHOLE)
def test_constant_inputs_give_the_same_row_whatever_the_mask(name, dtype):
    """The tutorial's example: with ones for inputs every row of the output is W_o W_v 1."""
    entry = registry.get("multihead", name)
    point = multihead.parse({"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2})
    limits = entry.limits_on("cpu")
    if str(dtype).removeprefix("torch.") not in limits.dtypes or "cross_attention" not in limits.supports:
        pytest.skip(f"{name} doesn't run the example's shapes in {dtype}")
    weights = multihead.inputs(point, dtype=dtype, device=CPU, seed=5).weights
    x_q, x_k = torch.ones(2, 4, 100, dtype=dtype), torch.ones(2, 6, 100, dtype=dtype)
    expected = weights.w_o.double() @ (weights.w_v.double() @ torch.ones(100, dtype=torch.float64))
    # Two sums of a hundred terms: Higham and Mary's 4 sqrt(m) u for each, over the sums of absolute values.
    magnitude = (weights.w_o.double().abs() @ weights.w_v.double().abs().sum(-1)).max().item()
    bound = 2 * 4 * math.sqrt(102) * torch.finfo(dtype).eps / 2 * magnitude
    for lens in (None, torch.tensor([3, 2]), torch.tensor([[1, 2, 3, 4], [6, 5, 4, 3]])):
        inputs = multihead.Inputs(x_q, x_k, x_k, weights, heads=5, valid_lens=lens)
        out = multihead.bind(entry, inputs)()
        assert out.shape == (2, 4, 100)
        assert (out.double() - expected).abs().max().item() < bound
        assert (out - out[:, :1]).abs().max().item() < bound


def test_equal_lengths_give_equal_rows_to_the_last_bit():
    point = multihead.parse({"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2})
    weights = multihead.inputs(point, dtype=torch.float32, device=CPU, seed=5).weights
    ones_q, ones_k = torch.ones(2, 4, 100), torch.ones(2, 6, 100)
    out = d2l(ones_q, ones_k, ones_k, weights, heads=5, valid_lens=torch.tensor([3, 2]))
    assert torch.equal(out, out[:, :1].expand_as(out))


@pytest.mark.parametrize("bias", [False, True])
def test_torch_module_gives_what_nn_multiheadattention_gives(bias):
    point = multihead.parse({"n_q": 7, "n_k": 9, "width": 32, "heads": 4, "batch": 2, "bias": bias})
    inputs = multihead.inputs(point, dtype=torch.float64, device=CPU, seed=2)
    module = torch.nn.MultiheadAttention(32, 4, bias=bias, batch_first=True, dtype=torch.float64)
    w = inputs.weights
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([w.w_q, w.w_k, w.w_v]))
        module.out_proj.weight.copy_(w.w_o)
        if bias:
            module.in_proj_bias.copy_(torch.cat([w.b_q, w.b_k, w.b_v]))
            module.out_proj.bias.copy_(w.b_o)
    expected, _ = module(inputs.x_q, inputs.x_k, inputs.x_v)
    for name in ("torch-module", "d2l", "mha/sdpa-math"):
        torch.testing.assert_close(multihead.bind(registry.get("multihead", name), inputs)(), expected)


def test_the_fast_path_is_what_runs_when_asked_for():
    from harness.instruments.kernels import profile

    entry = registry.get("multihead", "torch-module-fast")
    inputs = multihead.inputs(
        multihead.parse({"n": 16, "width": 32, "heads": 4}), dtype=torch.float32, device=CPU, seed=0
    )
    with torch.no_grad():
        fast = profile(multihead.bind(entry, inputs), device=CPU, synchronize=lambda: None).ran.operators
        slow_entry = registry.get("multihead", "torch-module")
        slow = profile(multihead.bind(slow_entry, inputs), device=CPU, synchronize=lambda: None).ran.operators
    assert "aten::_native_multi_head_attention" in fast
    assert "aten::_native_multi_head_attention" not in slow


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


def test_one_broken_attention_file_leaves_the_modules_standing(tmp_path):
    import subprocess

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


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"n": 4, "width": 10, "heads": 3}, "width 10 must be a multiple of heads 3"),
        ({"n": 4, "widht": 10}, "no axis 'widht'; did you mean 'width'"),
        ({"n": 4, "dropout": 1.0}, "dropout must be a probability below 1"),
        ({"n": 4, "valid_lens": 5}, "valid_lens 5 exceeds n_k 4"),
        ({"n": 4, "phase": "score"}, "no phase 'score'; did you mean 'scores'"),
        ({"n": 4, "phase": "scores", "valid_lens": 2}, "run on plain self-attention"),
        ({"n_q": 4}, "n_k is missing"),
    ],
)
def test_a_mistaken_point_is_refused_with_its_reason(point, message):
    with pytest.raises(ValueError, match=message):
        multihead.parse(point)


def test_the_steps_operations_are_those_of_the_complexity_analysis():
    n, width, heads = 96, 48, 4
    point = multihead.parse({"n": n, "width": width, "heads": heads, "batch": 2})
    phases = multihead.phase_operations(point)
    assert phases == {
        "projections": 2 * 2 * n * 3 * width**2,
        "scores": 2 * 2 * n**2 * width,
        "softmax": 5 * 2 * heads * n**2,
        "weighted sum": 2 * 2 * n**2 * width,
        "output": 2 * 2 * n * width**2,
    }
    cost = multihead.cost(point, itemsize=4, direction="forward")
    assert cost.operations == sum(phases.values()) - phases["softmax"]
    backward = multihead.cost(point, itemsize=4, direction="backward")
    both = multihead.cost(point, itemsize=4, direction="forward+backward")
    assert both.operations == cost.operations + backward.operations


def test_attention_overtakes_the_projections_at_twice_the_width():
    def shares(n):
        phases = multihead.phase_operations(multihead.parse({"n": n, "width": 64, "heads": 2}))
        return phases["scores"] + phases["weighted sum"], phases["projections"] + phases["output"]

    assert shares(127)[0] < shares(127)[1]
    assert shares(128)[0] == shares(128)[1]
    assert shares(129)[0] > shares(129)[1]


@pytest.mark.parametrize("name", [n for n in MODULES if n not in {"mha/loop", "torch-module-fast"}])
def test_products_counted_while_they_run_are_those_of_the_model(name):
    from harness.instruments.degrees import degrees

    entry = registry.get("multihead", name)
    counted = degrees(multihead, entry, device=CPU, dtype=torch.float32)
    assert counted.how == "counted", counted.reason
    if name != "phase/softmax":
        assert counted.counted_products == counted.modelled_products
    expected = {
        "phase/projections": (1, 2),
        "phase/output": (1, 2),
        "phase/scores": (2, 1),
        "phase/weighted-sum": (2, 1),
        "phase/softmax": (2, 0),
    }.get(name, (2, 2))
    assert (counted.axes["n"].degree, counted.axes["width"].degree) == expected


def test_the_d2l_package_gives_the_same():
    package = pytest.importorskip("d2l.torch", reason="the package d2l is not installed")
    point = multihead.parse({"n_q": 4, "n_k": 6, "width": 100, "heads": 5, "batch": 2})
    inputs = multihead.inputs(point, dtype=torch.float32, device=CPU, seed=0)
    module = package.MultiHeadAttention(100, 5, 0.5).eval()
    module(inputs.x_q, inputs.x_k, inputs.x_v, None)
    with torch.no_grad():
        for layer, weight in zip((module.W_q, module.W_k, module.W_v, module.W_o), inputs.weights[:4], strict=True):
            layer.weight.copy_(weight)
    for lens in (None, torch.tensor([3, 2]), torch.tensor([[1, 2, 3, 4], [6, 5, 4, 3]])):
        expected = module(inputs.x_q, inputs.x_k, inputs.x_v, lens)
        ours = d2l(inputs.x_q, inputs.x_k, inputs.x_v, inputs.weights, heads=5, valid_lens=lens)
        torch.testing.assert_close(ours, expected)


def test_hugging_faces_attention_interface_gives_the_same():
    transformers = pytest.importorskip("transformers", reason="the package transformers is not installed")
    functions = transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS
    inputs = multihead.inputs(
        multihead.parse({"n": 12, "width": 32, "heads": 4}), dtype=torch.float32, device=CPU, seed=0
    )
    w = inputs.weights
    q, k, v = ((inputs.x_q @ m.T).view(1, 12, 4, 8).transpose(1, 2) for m in (w.w_q, w.w_k, w.w_v))
    holder = torch.nn.Module()
    holder.is_causal, holder.num_key_value_groups = False, 1
    out, _ = functions["sdpa"](holder, q, k, v, None, scaling=8**-0.5)
    expected = out.reshape(1, 12, 32) @ w.w_o.T
    torch.testing.assert_close(d2l(inputs.x_q, inputs.x_k, inputs.x_v, w, heads=4), expected)


def test_the_steps_that_a_point_may_name_are_those_that_have_an_oracle():
    assert tuple(_phases.PHASES) == _points.PHASES == tuple(multihead.phase_operations(multihead.parse({"n": 4})))
