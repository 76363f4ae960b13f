"""Scenarios are data: expanded exactly, checked wholly, and their mistakes named all at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest

from harness.policy import RunPolicy, ScalingPolicy
from scenarios import catalog

SCHEMA = Path(catalog.__file__).with_name("schema.json")


def test_the_default_sweep_has_eleven_lengths_over_a_ratio_of_64():
    points, dropped = catalog.find("sequence-length").on_device("cpu").points()
    lengths = [point["n"] for point in points]
    assert len(lengths) == 11
    assert (lengths[0], lengths[-1]) == (64, 4096)
    assert {(point["heads"], point["d"]) for point in points} == {(2, 64)}
    assert dropped == []


def test_each_scenario_of_the_catalog_is_found_by_its_name():
    assert [catalog.find(scenario.name) for scenario in catalog.CATALOG] == list(catalog.CATALOG)


def test_a_gpu_has_its_own_ranges_and_dtypes():
    on_gpu = catalog.find("sequence-length").on_device("cuda")
    lengths = [point["n"] for point in on_gpu.points()[0]]
    assert (lengths[0], lengths[-1]) == (256, 16384)
    assert on_gpu.dtypes == ["bfloat16", "float16"]


def test_a_loop_over_rows_has_a_line_of_its_own_on_a_gpu_as_long_as_its_rows_allow():
    scenario = catalog.find("sequence-length").on_device("cuda")
    asked = [point for point in scenario.points()[0] if not scenario.is_too_large(point, implementation="loop")]
    rows = [
        point["n"] * point["heads"] * point["batch"]
        for point in (scenario.point_for(one, implementation="loop") for one in asked)
    ]
    assert max(rows) == RunPolicy().launched_rows_at_most
    assert len(rows) >= ScalingPolicy().sizes_at_least
    assert max(rows) / min(rows) >= ScalingPolicy().range_at_least
    assert all(scenario.point_for(point, implementation="batched") == point for point in asked)


@pytest.mark.parametrize("name", ["heads", "batch"])
def test_counts_are_multiples_of_four_over_a_range_of_64(name):
    points, _ = catalog.find(name).on_device("cpu").points()
    counts = [point[name] for point in points]
    assert all(count % 4 == 0 for count in counts)
    assert counts[-1] / counts[0] == 64


@pytest.mark.parametrize("name", ["head-dim", "heads", "batch"])
def test_the_other_axes_have_nine_sizes_at_moderate_n(name):
    points, _ = catalog.find(name).on_device("cpu").points()
    assert len(points) == 9
    assert all(point["n"] <= 1024 for point in points)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n=512,1024", ("n", [512, 1024])),
        ("n[pow2]=9:13", ("n", [512, 1024, 2048, 4096, 8192])),
        ("n=64:256:64", ("n", [64, 128, 192, 256])),
        ("causal=true,false", ("causal", [True, False])),
        ("valid_lens=none,batch", ("valid_lens", [None, "batch"])),
        ("scale=0.5", ("scale", [0.5])),
    ],
)
def test_axes_are_read_from_the_command_line(text, expected):
    assert catalog.parse_axis(text) == expected


@pytest.mark.parametrize("text", ["n", "n=", "n=a b", "n[pow3]=1:2", "n[pow2]=9", "n=1:2:0"])
def test_an_axis_that_cannot_be_read_shows_the_forms(text):
    with pytest.raises(catalog.ScenarioError, match=r"must read n=512,1024"):
        catalog.parse_axis(text)


def test_a_scenario_file_is_found_by_its_path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('question = "?"\n[[axes]]\nname = "n"\nvalues = [4, 8]\n')
    scenario = catalog.find(str(file))
    assert scenario.name == "mine"
    assert [point["n"] for point in scenario.points()[0]] == [4, 8]


def test_all_mistakes_of_a_file_are_reported_at_once_with_suggestions(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(
        'dtypes = ["float13"]\nimplementation = ["loop"]\ndirections = []\n'
        '[[axes]]\nname = "haeds"\nvalues = [4]\n[[axes]]\nname = "n"\nvalues = []\n'
    )
    with pytest.raises(catalog.ScenarioError) as caught:
        catalog.find(str(file))
    lines = str(caught.value).splitlines()
    assert len(lines) == 6
    assert any("question" in line and "required" in line for line in lines)
    assert any("dtypes.0" in line and "'float32'" in line for line in lines)
    assert any("unknown field; did you mean 'implementations'?" in line for line in lines)
    assert any("axes.0: no axis 'haeds'; did you mean 'heads'?" in line for line in lines)
    assert any("axes.1.values" in line for line in lines)
    assert any("directions" in line for line in lines)


def test_a_file_that_is_not_toml_is_named(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text("axes = [")
    with pytest.raises(catalog.ScenarioError, match=r"bad\.toml is not TOML: "):
        catalog.find(str(file))


def test_the_published_schema_is_the_one_in_force():
    assert SCHEMA.read_text() == catalog.schema()


def test_the_schema_accepts_the_catalog():
    schema = json.loads(SCHEMA.read_text())
    for scenario in catalog.CATALOG:
        jsonschema.validate(scenario.model_dump(mode="json"), schema)


def test_every_wrong_size_and_form_is_named_at_once():
    with pytest.raises(catalog.ScenarioError) as refused:
        catalog.parse_axes(
            ["n=0,-5,64", "d=nan", "heads=foo", "batch=1e3", "n_k=true", "n", "n=1:1000000000", "causal=true"]
        )
    assert str(refused.value).splitlines() == [
        *(f"n = {size} is no size: a whole number of at least 1 is needed" for size in (0, -5)),
        "d = nan is no size: a whole number of at least 1 is needed",
        "heads = 'foo' is no size: a whole number of at least 1 is needed",
        "batch = 1000.0 is no size: a whole number of at least 1 is needed",
        "n_k = True is no size: a whole number of at least 1 is needed",
        "axis 'n' must read n=512,1024 or n[pow2]=9:13 or n=64:256:64 or n_q=n/2",
        "axis 'n=1:1000000000' must read n=512,1024 or n[pow2]=9:13 or n=64:256:64 or n_q=n/2",
    ]
    assert catalog.parse_axes(["causal=false,true", "scale=0.5"]) == {"causal": [False, True], "scale": [0.5]}


def test_sizes_of_a_file_are_named_at_once(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('question = "?"\nbase = {d = -1}\n[[axes]]\nname = "n"\nvalues = [0, 16, 2.5]\n')
    with pytest.raises(catalog.ScenarioError) as refused:
        catalog.find(str(path))
    assert [line.split(" is no size")[0] for line in str(refused.value).splitlines()] == [
        f"scenario {path}: n = 0",
        f"scenario {path}: n = 2.5",
        f"scenario {path}: d = -1",
    ]


def put_pipe(path):
    os.mkfifo(path)


def put_loop(path):
    path.symlink_to(path)


def put_sparse(path):
    with path.open("wb") as file:
        file.truncate(2**40)


def put_nested(path):
    path.write_text("a = " + "[" * 100_000)


@pytest.mark.parametrize(
    ("put", "mistake"),
    [
        (put_pipe, "is no regular file"),
        (put_loop, "Too many levels of symbolic links"),
        (put_sparse, "has 1099511627776 bytes, and at most"),
        (put_nested, "is not TOML: "),
        (Path.mkdir, "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not TOML: "),
    ],
)
def test_whatever_stands_in_place_of_a_scenario_is_refused_in_a_line(tmp_path, put, mistake):
    path = tmp_path / "mine.toml"
    put(path)
    with pytest.raises(catalog.ScenarioError) as refused:
        catalog.find(str(path))
    (line,) = str(refused.value).splitlines()
    assert mistake in line


def test_a_device_is_no_scenario():
    with pytest.raises(catalog.ScenarioError, match=r"^scenario /dev/zero is no regular file$"):
        catalog.find("/dev/zero/")
