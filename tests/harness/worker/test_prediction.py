"""What a case costs is said before it runs, and why it will not run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.instruments import kernels
from harness.instruments.memory import peak_of
from harness.policy import DEFAULT
from harness.protocol import messages
from harness.worker import prediction
from harness.worker.modelled import ModelledDevice
from impls import contract, registry
from tests.support.benches import bench_on
from tests.support.runs import ok_case

# FLOP/s by dtype, and B/s.
RATES = {"float32": 1e12, "float64": 5e11, "bfloat16": 2e12, "float16": 2e12, "bytes": 1e10}
MEMORY = 2**30
N = 512


def bench(device="cpu", *, free=MEMORY, **changes):
    """Return a workbench that measures nothing."""
    return bench_on(device, modelled=ModelledDevice("a device", RATES, free), **changes)


def predicted(case, *, on=None):
    (found,) = prediction.predict(on or bench(), messages.Predict(cases=[case])).predictions
    return found


def changed(case, **point):
    return case.model_copy(update={"point": {**case.point, **point}})


CASE = ok_case("einsum", n=16, d=8)


def test_a_case_that_can_not_run_says_why_before_it_does(planted):
    case = planted(lambda q, *_, **__: q)
    half = case.model_copy(update={"dtype": "float16"})
    # Tensors of a tebibyte, of few rows; then more lengths of rows than can be counted.
    huge, beyond = changed(case, n=2**20, d=2**16), changed(case, n=2**61, valid_lens="rows")
    cases = [changed(case, causal=True), half, huge, beyond, changed(case, m=3), changed(case, n=2**520)]
    found = prediction.predict(bench(), messages.Predict(cases=cases)).predictions
    assert [one.skip for one in found] == ["unsupported"] * 2 + ["predicted_oom"] * 2 + ["unsupported", "predicted_oom"]
    assert found[0].reason == "lacks causal"
    assert found[1].reason == "takes float32, not float16"
    assert found[2].reason.endswith(f" B > {DEFAULT.memory.share:.0%} of {MEMORY:,} B free")
    assert found[3].reason.startswith("too large to plan: ")
    assert found[4].reason.startswith("not a point of attention: ")
    assert found[5].reason.startswith("too large to plan: "), "more than a float holds"


def test_what_a_test_plants_leaves_no_module_behind(planted):
    planted(lambda q, *_, **__: q)
    bench()
    assert ("multihead", "mha/planted") not in registry.REGISTRY.entries


def test_a_case_that_will_run_is_predicted_by_operations_dispatch_and_passes_over_its_scores():
    found = predicted(ok_case("batched", n=256, d=64, heads=2, batch=1))
    scores = 2 * 256 * 256
    operations = 2 * scores * (64 + 64)
    assert (found.skip, found.reason) == (None, "")
    assert found.predicted.operations == operations
    assert found.predicted.extra_bytes == 2 * scores * 4
    assert found.predicted.resident_bytes == 4 * (2 * 256 * 64) * 4
    products = operations / (prediction.EXPECTED_SHARE * RATES["float32"])
    passes = prediction.SCORE_PASSES * scores * 4 / (4 * RATES["bytes"])
    assert found.predicted.seconds == pytest.approx(products + passes + prediction.CALL_SECONDS)
    assert found.predicted.arithmetic == f"2 score buffers x {scores:,} x 4 B + 524,288 B tensors"


def test_what_keeps_no_scores_needs_no_extra_memory_in_any_direction():
    for direction in ("forward", "backward", "forward+backward"):
        found = predicted(ok_case("sdpa-flash", n=256).model_copy(update={"direction": direction}))
        assert found.predicted.extra_bytes == 0


def test_a_mask_that_pytorch_is_handed_is_counted_where_lengths_or_shapes_need_it():
    n = 65536
    for name in ("sdpa-flash", "sdpa-auto"):
        for point, elements in (
            ({"n": n, "d": 64, "heads": 2, "valid_lens": "rows"}, n**2),
            ({"n_q": n // 2, "n_k": n, "d": 64, "batch": 3, "causal": True}, n**2 // 2),
            ({"n": n, "d": 64, "causal": True}, 0),
            ({"n_q": 1, "n_k": n, "d": 64, "causal": True}, 0),
        ):
            case = ok_case(name).model_copy(update={"point": point})
            found = predicted(case).predicted
            assert found.extra_bytes == elements * (1 + 4), (name, point)
            assert ("B mask" in found.arithmetic) == (elements > 0)


@pytest.mark.parametrize(
    ("name", "point", "extra"),
    [
        ("batched", {"causal": True}, 3 * 4 * 2 * N**2 + N**2),
        ("batched", {"softcap": 5.0, "valid_lens": "rows"}, 4 * 4 * 2 * N**2 + N**2),
        ("sdpa-math", {"causal": True}, 2.25 * 4 * 2 * N**2 + 4 * N**2),
        ("sdpa-math", {"window": 9}, 2.25 * 4 * 2 * N**2 + 5 * N**2),
        ("sdpa-flash", {"window": 9, "causal": True}, 5 * N**2),
        ("sdpa-flash", {"bias": "heads"}, 0),
        ("sdpa-flash", {"bias": "heads", "causal": True}, 4 * 2 * N**2 + 2 * N**2),
        ("sdpa-flash", {"valid_lens": "batch"}, 5 * N),
        ("online", {"causal": True}, 2324 * 2 * N),
        ("online:block=512", {"causal": True}, 6420 * 2 * N),
        ("online:block=32", {"d": 128}, 2324 * 2 * N),
    ],
    ids=str,
)
def test_masks_changes_and_rows_are_planned_for_those_that_write_them(name, point, extra):
    case = ok_case(name).model_copy(update={"point": {"n": N, "d": 64, "heads": 2, **point}})
    assert predicted(case).predicted.extra_bytes == extra


MASKS = [{}, {"causal": True}, {"n_q": N // 2, "causal": True}, {"valid_lens": "rows"}, {"window": 9}]


# What each thread of PyTorch's fused kernel takes for itself is not planned: beside a written mask it is little.
@pytest.mark.parametrize(
    ("name", "point"),
    [(name, point) for name in ("batched", "einsum", "sdpa-math") for point in MASKS]
    + [("online", point) for point in MASKS[:3]]
    + [(f"online:block={block}", {"d": d}) for block in (32, 256, 512) for d in (32, 128)]
    + [("sdpa-flash", {"valid_lens": "rows"}), ("sdpa-flash", {"window": 9})],
    ids=str,
)
def test_what_is_planned_is_within_a_tenth_of_what_a_call_takes(name, point):
    case = ok_case(name).model_copy(update={"point": {"n": N, "d": 64, "heads": 2, **point}})
    planned = predicted(case).predicted
    subject = bench().subject(case)
    inputs = subject.inputs(seed=0)
    with torch.no_grad(), subject.implementation.entered():
        call = subject.bind(inputs)
        call()
        profiled = kernels.profile(call, device=torch.device("cpu"), synchronize=lambda: None)
    taken = peak_of(profiled.allocations[0]) + sum(tensor.nbytes for tensor in inputs.differentiable)
    assert planned.resident_bytes + planned.extra_bytes == pytest.approx(taken, rel=0.1)


def test_backward_keeps_more_buffers_and_tensors_than_forward():
    forward = predicted(ok_case("batched", n=256)).predicted
    backward = predicted(ok_case("batched", n=256).model_copy(update={"direction": "backward"})).predicted
    assert backward.extra_bytes == 2 * forward.extra_bytes
    assert backward.resident_bytes > forward.resident_bytes
    assert backward.seconds > forward.seconds


def test_half_as_wide_elements_take_half_the_bytes():
    whole = predicted(ok_case("batched", n=256)).predicted
    half = predicted(ok_case("batched", n=256).model_copy(update={"dtype": "bfloat16"})).predicted
    assert (2 * half.extra_bytes, 2 * half.resident_bytes) == (whole.extra_bytes, whole.resident_bytes)


def test_memory_is_refused_from_a_byte_more_than_the_share_of_what_is_free():
    case = ok_case("batched", n=256)
    known = predicted(case).predicted
    needs = known.extra_bytes + known.resident_bytes
    policy = DEFAULT.model_copy(update={"memory": DEFAULT.memory.model_copy(update={"share": 0.5})})
    assert predicted(case, on=bench(free=2 * needs, policy=policy)).skip is None
    refused = predicted(case, on=bench(free=2 * needs - 1, policy=policy))
    assert refused.skip == "predicted_oom"
    assert refused.reason == f"{known.arithmetic} = {needs:,} B > 50% of {2 * needs - 1:,} B free"
    assert refused.predicted == known.model_copy(update={"limit_bytes": needs - 1}), "what was predicted stays"


def test_rows_that_a_gpu_launches_one_by_one_are_bounded_and_a_processors_are_not():
    most = DEFAULT.run.launched_rows_at_most
    point = {"d": 8, "heads": 1, "batch": 1}
    on_gpu = bench("cuda:0", free=2**40)
    within, beyond = (ok_case("loop", n=n, **point) for n in (most, most + 1))
    assert predicted(within, on=on_gpu).skip is None
    refused = predicted(beyond, on=on_gpu)
    assert refused.skip == "predicted_slow"
    assert refused.reason.startswith(f"{most + 1:,} rows > {most:,}: launched one by one, ")
    assert predicted(beyond, on=bench(free=2**40)).skip is None
    row = registry.get("attention", "loop").call_seconds_per_row
    seconds = [predicted(within, on=one).predicted.seconds for one in (bench(free=2**40), on_gpu)]
    assert seconds[1] - seconds[0] == pytest.approx((prediction.LAUNCHED_ROW - 1.0) * row * most)


def test_an_implementation_of_other_devices_says_where_it_runs():
    found = predicted(ok_case("sdpa-cudnn", n=16, d=8))
    assert (found.skip, found.reason) == ("unsupported", "runs on cuda only")


def test_an_implementation_that_could_not_be_imported_or_lacks_a_package_is_unavailable(planted, monkeypatch):
    on = bench()
    gone = contract.Unavailable("attention", "flash", "ModuleNotFoundError: No module named 'flash_attn'", "flash.py")
    monkeypatch.setitem(on.registry.unavailable, ("attention", "flash"), gone)
    found = predicted(ok_case("flash"), on=on)
    assert (found.skip, found.reason, found.predicted) == ("unavailable", gone.reason, None)
    case = planted(lambda q, *_, **__: q)
    entry = registry.get("attention", "planted")
    limits = replace(entry.limits[0], requires=("torch", "no_such_package"))
    monkeypatch.setitem(registry.REGISTRY.entries, ("attention", "planted"), replace(entry, limits=(limits,)))
    here = bench()
    here.modelled = None
    found = predicted(case, on=here)
    assert (found.skip, found.reason) == ("unavailable", "needs no_such_package, which can't be imported")
    # What is installed where the device is, nobody here knows.
    assert predicted(case).skip is None


def test_every_implementation_is_described_with_its_limits_here_or_why_it_is_not_to_be_had(monkeypatch):
    on = bench()
    gone = contract.Unavailable("attention", "flash", "no module", "flash.py")
    monkeypatch.setitem(on.registry.unavailable, ("attention", "flash"), gone)
    described = prediction.describe(on, messages.Describe())
    listed = {(one.problem, one.name): one for one in described.implementations}
    assert set(listed) == {*on.registry.entries, ("attention", "flash")}
    assert (described.device_name, described.threads) == ("a device", torch.get_num_threads())
    einsum, cudnn = listed["attention", "einsum"], listed["attention", "sdpa-cudnn"]
    assert einsum.available
    assert {"causal", "backward"} <= set(einsum.supports)
    assert "float32" in einsum.dtypes
    assert einsum.digest == on.registry.digests["attention", "einsum"]
    assert (cudnn.available, cudnn.reason, cudnn.dtypes) == (False, "runs on cuda only", [])
    assert (listed["attention", "flash"].available, listed["attention", "flash"].reason) == (False, "no module")


def test_a_rate_is_measured_once_and_kept(monkeypatch):
    measured = []
    monkeypatch.setattr(prediction, "quick_rate", lambda kind, device: measured.append((kind, device.type)) or 1e10)
    on = bench_on()
    for _ in range(2):
        predicted(ok_case("batched", n=16), on=on)
    assert measured == [("float32", "cpu"), ("bytes", "cpu")]


@pytest.mark.parametrize("kind", ["float32", "bytes"])
def test_a_quick_rate_has_the_magnitude_of_processors(kind):
    assert 1e7 < prediction.quick_rate(kind, torch.device("cpu")) < 1e14
