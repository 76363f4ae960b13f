"""A scenario is data: expanded exactly, with ties, constraints, and the axes that a user sets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from scenarios import catalog
from scenarios.scenario import Axis, Call, Constraint, Scenario, Variant


def sweep(*axes, **changes):
    return Scenario(name="x", question="?", axes=list(axes), **changes)


N = Axis(name="n", values=[8, 16])


def test_a_slow_implementation_is_not_asked_for_large_sizes():
    scenario = catalog.find("sequence-length")
    points, _ = scenario.points()
    assert max(p["n"] for p in points if not scenario.is_too_large(p, implementation="loop")) == 2048
    assert not any(scenario.is_too_large(point, implementation="batched") for point in points)


def test_a_tied_axis_follows():
    points, _ = catalog.find("heads-fixed-width").on_device("cpu").points()
    assert all(point["heads"] * point["d"] == 256 for point in points)


def test_a_tie_that_is_not_whole_drops_the_point_with_the_reason():
    scenario = Scenario(name="x", question="?", axes=[Axis(name="heads", values=[2, 3], tied={"d": "8 / heads"})])
    kept, dropped = scenario.points()
    assert kept == [{"heads": 2, "d": 4}]
    assert dropped[0][1] == "d = 8 / heads is not whole at heads = 3"


def test_a_constraint_drops_points_with_its_reason():
    scenario = Scenario(
        name="x",
        question="?",
        axes=[Axis(name="n", values=[10, 20])],
        base={"heads": 2},
        constraints=[Constraint(product=["n", "n", "heads"], at_most=200, reason="too large")],
    )
    kept, dropped = scenario.points()
    assert [point["n"] for point in kept] == [10]
    assert dropped == [({"heads": 2, "n": 20}, "too large (n * n * heads = 800 > 200)")]


def test_an_axis_given_by_the_user_replaces_or_joins_the_sweep():
    scenario = catalog.find("smoke").with_axes({"n": [8], "causal": [True, False]})
    points, _ = scenario.points()
    assert [(point["n"], point["causal"]) for point in points] == [(8, True), (8, False)]


def test_an_axis_that_follows_another_cannot_be_set():
    with pytest.raises(ValueError, match="'d' of scenario 'heads-fixed-width' follows another axis"):
        catalog.find("heads-fixed-width").with_axes({"d": [64]})


def test_n_takes_the_place_of_both_lengths():
    pooling = catalog.find("pooling").with_axes({"n": [32, 64]})
    points, _ = pooling.points()
    assert {frozenset(point) & {"n", "n_q", "n_k"} for point in points} == {frozenset({"n"})}
    both = catalog.find("pooling").with_axes({"n": [32], "n_q": [8]})
    assert {(point["n"], point["n_q"]) for point in both.points()[0]} == {(32, 8)}


@pytest.mark.parametrize("expression", ["8 / n", "n / 8", "8 - heads", "heads / 0", "-8 / heads", "8 / heads / 2"])
def test_a_tie_that_is_no_quotient_or_product_with_its_axis_is_refused(expression):
    with pytest.raises(ValidationError, match="tie of 'd' must read 'NUMBER / heads', 'NUMBER \\* heads' or"):
        Axis(name="heads", values=[2], tied={"d": expression})


def test_an_axis_given_by_the_user_may_follow_another():
    chosen = catalog.find("sequence-length").with_axes({"n_q": ["n/2"], "n": [256, 512, 3], "causal": [True]})
    points, dropped = chosen.points()
    assert [(point["n"], point["n_q"], point["causal"]) for point in points] == [(256, 128, True), (512, 256, True)]
    assert [reason for _, reason in dropped] == ["n_q = n/2 is not whole at n = 3"]
    assert chosen.axis("n").tied == {"n_q": "n/2"}


def test_an_axis_that_the_user_sets_once_may_follow_another_in_its_place():
    (point,), _ = sweep(N, base={"n_q": 3}).with_axes({"n": [8], "n_q": ["n / 4"]}).points()
    assert point == {"n": 8, "n_q": 2}


@pytest.mark.parametrize(("name", "expression"), [("n_q", "d / 2"), ("n", "n / 2")])
def test_an_axis_that_follows_none_that_is_swept_is_refused(name, expression):
    with pytest.raises(ValueError, match=f"{name} = '{expression}' follows no axis that scenario 'x' sweeps"):
        sweep(N).with_axes({name: [expression]})


def test_a_tie_may_multiply():
    (point,), _ = sweep(Axis(name="n_q", values=[3], tied={"n_k": "4 * n_q"})).points()
    assert point == {"n_q": 3, "n_k": 12}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Axis(name="hedas", values=[1]), "no axis 'hedas'; did you mean 'heads'"),
        (lambda: Axis(name="n", values=[8], tied={"q": "2 * n"}), "no axis 'q'"),
        (lambda: Axis(name="n", values=[]), "at least 1 item"),
        (lambda: sweep(N, base={"widht": 3}), "base has no axis 'widht'; did you mean 'width'"),
        (lambda: sweep(N, N), "axis 'n' is swept twice"),
        (sweep, "either axes or calls are needed"),
        (lambda: sweep(N, claim=[]), "Extra inputs are not permitted"),
    ],
)
def test_a_mistaken_declaration_is_refused_with_what_is_wrong(make, message):
    with pytest.raises(ValidationError, match=message):
        make()


def test_several_axes_make_the_product_of_their_values_over_the_base():
    points, _ = sweep(N, Axis(name="d", values=[2, 4]), base={"d": 64, "batch": 3}).points()
    assert points == [{"batch": 3, "n": n, "d": d} for n in (8, 16) for d in (2, 4)]


def test_a_variant_replaces_what_it_names_on_its_kind_of_device_alone():
    scenario = sweep(N, base={"d": 8}, exclude=["loop"], on={"cuda": Variant(base={"d": 64}, dtypes=["float16"])})
    on_gpu = scenario.on_device("cuda")
    assert (on_gpu.base, on_gpu.dtypes, on_gpu.exclude, on_gpu.axes) == ({"d": 64}, ["float16"], ["loop"], [N])
    assert on_gpu.on_device("cuda") == on_gpu
    assert scenario.on_device("cpu") is scenario


def test_a_limit_of_sizes_holds_for_the_implementations_of_its_pattern():
    scenario = sweep(N, sizes_at_most={"mha/*": {"n": 10}, "loop": {"batch": 2}})
    assert scenario.is_too_large({"n": 11}, implementation="mha/loop")
    assert not scenario.is_too_large({"n": 10}, implementation="mha/loop")
    assert not scenario.is_too_large({"n": 11}, implementation="loop")
    assert scenario.is_too_large({"batch": 3}, implementation="loop")


def test_a_swept_axis_is_found_by_its_name():
    assert sweep(N).axis("n") is N
    assert sweep(N, base={"d": 8}).axis("d") is None


def test_an_axis_set_by_the_user_leaves_the_base():
    changed = sweep(N, base={"d": 8, "heads": 2}).with_axes({"d": [4]})
    assert (changed.base, [axis.name for axis in changed.axes]) == ({"heads": 2}, ["n", "d"])


def test_a_size_that_is_no_whole_number_can_not_be_tied_or_multiplied():
    with pytest.raises(TypeError, match=r"a whole number is needed, not 2\.5"):
        sweep(Axis(name="heads", values=[2.5], tied={"d": "8 / heads"})).points()


def test_what_a_user_sets_holds_for_an_implementation_with_values_of_its_own():
    scenario = catalog.find("sequence-length").on_device("cuda").with_axes({"heads": [4]})
    assert {scenario.point_for(p, implementation="loop")["heads"] for p in scenario.points()[0]} == {4}


def test_an_implementation_has_no_value_of_its_own_where_the_sweep_has_them():
    with pytest.raises(
        ValueError, match="axis 'n' is swept: no implementation or shape can have a value of its own there"
    ):
        Scenario(name="x", question="?", axes=[Axis(name="n", values=[2])], own_base={"loop": {"n": 1}})
    with pytest.raises(ValueError, match="base has no axis 'head'; did you mean 'heads'"):
        Scenario(name="x", question="?", axes=[Axis(name="n", values=[2])], own_base={"loop": {"head": 1}})


def test_shapes_are_crossed_with_the_axes_and_met_once_where_an_axis_is_set():
    scenario = Scenario(
        name="a",
        question="",
        axes=[Axis(name="n", values=[8, 16])],
        base={"d": 4, "batch": 2},
        shapes=[{"heads": 2, "d": 8}, {"heads": 4}],
    )
    assert scenario.points()[0] == [
        {"n": 8, "d": 8, "batch": 2, "heads": 2},
        {"n": 16, "d": 8, "batch": 2, "heads": 2},
        {"n": 8, "d": 4, "batch": 2, "heads": 4},
        {"n": 16, "d": 4, "batch": 2, "heads": 4},
    ]
    set_to = scenario.with_axes({"heads": [1], "d": [16]})
    assert [point["n"] for point in set_to.points()[0]] == [8, 16]


def test_a_shape_has_no_value_on_a_swept_axis():
    with pytest.raises(ValidationError, match="axis 'n' is swept"):
        Scenario(name="a", question="", axes=[Axis(name="n", values=[8])], shapes=[{"n": 4}])


CALLS = [
    Call(weight=12, point={"n": 8, "causal": True}),
    Call(weight=3, point={"n": 8, "causal": True}, note="of another layer"),
    Call(weight=5, point={"n": 8, "causal": True}, dtype="bfloat16", direction="forward+backward"),
    Call(weight=1, point={"n": 4}),
]


def test_calls_of_a_program_are_points_each_in_the_dtype_and_direction_it_was_called_in():
    scenario = Scenario(name="x", question="?", calls=CALLS)
    points, dropped = scenario.points()
    assert (points, dropped) == ([{"n": 8, "causal": True}, {"n": 4}], [])
    assert scenario.settings(points[0]) == [("float32", "forward"), ("bfloat16", "forward+backward")]
    assert scenario.settings(points[1]) == [("float32", "forward")]
    assert scenario.weight(points[0], dtype="float32", direction="forward") == 15
    assert scenario.weight(points[0], dtype="float16", direction="forward") == 0


def test_restricted_to_a_dtype_calls_of_others_are_left_out_and_none_is_changed():
    scenario = Scenario(name="x", question="?", calls=CALLS)
    assert scenario.restricted(dtypes=["bfloat16"], directions=(), caches=()).calls == [CALLS[2]]
    assert scenario.restricted(dtypes=(), directions=["forward"], caches=()).calls == [CALLS[0], CALLS[1], CALLS[3]]
    assert sweep(N).restricted(dtypes=["float16"], directions=(), caches=()).settings({}) == [("float16", "forward")]


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        ({}, "either axes or calls are needed"),
        ({"axes": [N], "calls": CALLS}, "both there"),
        ({"calls": CALLS, "base": {"d": 8}}, "base and shapes are of sweeps"),
        ({"calls": [{"weight": 0, "point": {"n": 8}}]}, "greater than or equal to 1"),
        ({"calls": [{"weight": 1, "point": {"m": 8}}]}, "no axis 'm'"),
    ],
)
def test_calls_stand_in_place_of_axes(fields, mistake):
    with pytest.raises(ValidationError, match=mistake):
        Scenario.model_validate({"name": "x", "question": "?", **fields})


def test_no_axis_of_a_program_s_calls_can_be_set():
    with pytest.raises(ValueError, match="no axis of it can be set"):
        Scenario(name="x", question="?", calls=CALLS).with_axes({"n": [4]})


def test_a_shape_that_is_set_whole_is_meant_alone_and_others_are_changed():
    models = catalog.find("models")
    whole = models.with_axes({"n": [128], "heads": [12], "kv_heads": [12], "d": [64], "causal": [True]})
    assert [(point["heads"], point["d"], point["causal"]) for point in whole.points()[0]] == [(12, 64, True)]
    half = models.with_axes({"n": [128], "d": [32]})
    assert {point["d"] for point in half.points()[0]} == {32}
    assert len(half.points()[0]) > 1


def test_a_rectangle_takes_the_place_of_lengths_in_shapes():
    points, _ = catalog.find("causal").with_axes({"n_q": [256], "n_k": [1024], "causal": [True]}).points()
    assert [(point["n_q"], point["n_k"], "n" in point) for point in points] == [(256, 1024, False)]
