"""Values of an axis are read in three forms, and none that no tensor can have is a size."""

from __future__ import annotations

import pytest

from scenarios.values import SIZE_AT_MOST, SIZES, VALUES_AT_MOST, read_axis, size_mistakes


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("n=7", [7]),
        ("causal=TRUE,False", [True, False]),
        ("valid_lens=None,rows_empty,3", [None, "rows_empty", 3]),
        ("scale=-0.5,1e-3", [-0.5, 1e-3]),
        ("n=2:9:3", [2, 5, 8]),
        ("n=4:4", [4]),
        ("n=3:1:-1", [3, 2, 1]),
        ("n[pow2]=0:2", [1, 2, 4]),
        ("n[pow2]=62:62", [2**62]),
        ("n_q=n/2", ["n/2"]),
        ("n_k=4 * n_q", ["4 * n_q"]),
    ],
)
def test_a_form_gives_its_values_in_order(text, values):
    name, found = read_axis(text)
    assert name == text.partition("=")[0].partition("[")[0]
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "n",
        "n=",
        "n=1,,2",
        "n[pow2]=1,2",
        "n[pow2]=60:63",
        "n[pow2]=-1:2",
        "n[=1",
        "n=5:4",
        "n=1:5:-1",
        "n=1:2:3:4",
        "n=m-2",
    ],
)
def test_what_is_no_form_is_refused_with_the_forms(text):
    with pytest.raises(
        ValueError, match=r"^axis '.*' must read n=512,1024 or n\[pow2\]=9:13 or n=64:256:64 or n_q=n/2$"
    ):
        read_axis(text)


def test_a_range_has_at_most_as_many_values_as_a_sweep_may():
    assert len(read_axis(f"n=1:{VALUES_AT_MOST}")[1]) == VALUES_AT_MOST
    with pytest.raises(ValueError, match="must read"):
        read_axis(f"n=1:{VALUES_AT_MOST + 1}")


def test_a_size_is_a_whole_number_of_63_bits_and_each_other_value_is_named():
    wrong = [0, -1, True, 2.0, "8", None, SIZE_AT_MOST + 1]
    assert size_mistakes("n", [1, 64, SIZE_AT_MOST]) == []
    assert size_mistakes("width", [1, *wrong]) == [
        f"width = {value!r} is no size: a whole number of at least 1 is needed" for value in wrong
    ]


def test_a_size_may_follow_another():
    assert size_mistakes("n_q", ["n / 2"]) == []


def test_what_counts_nothing_is_left_to_its_problem():
    assert not {"causal", "scale", "valid_lens", "dropout", "w"} & SIZES
    assert size_mistakes("scale", [-1.0, None]) == []
