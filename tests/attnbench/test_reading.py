"""Options as they are typed are read into what the harness takes, or refused with what they should have been."""

from __future__ import annotations

import re

import pytest

from attnbench.options import Cases, Effort, Place
from attnbench.reading import (
    default_output,
    find_scenarios,
    make_policy,
    make_request,
    make_run_request,
    make_selection,
    make_time_limits,
    parse_duration,
    parse_share,
)
from harness.policy import DEFAULT, FAST, RIGOROUS
from harness.runner.selection import SelectionError, TimeLimits
from scenarios import catalog


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("10m", 600.0), ("1h", 3600.0), ("0.5m", 30.0), (None, None)]
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "10ms", "5sss", "1hm", "-1", "0", "", "1e3"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(SelectionError, match="must read"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.01", 0.01), ("2.5%", 0.025)])
def test_shares_are_read(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "100%", "1", "-1%", "one", "%", "nan"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(SelectionError, match=r"must read 1% or 0\.01"):
        parse_share(text)


def test_a_preset_has_its_policy_and_a_precision_narrows_it():
    assert make_policy(Effort()) == ("default", DEFAULT)
    assert make_policy(Effort(fast=True)) == ("fast", FAST)
    assert make_policy(Effort(rigorous=True)) == ("rigorous", RIGOROUS)
    preset, policy = make_policy(Effort(fast=True, precision="3%"))
    assert (preset, policy.timing.precision) == ("fast", 0.03)
    assert policy.timing.rounds_at_least == FAST.timing.rounds_at_least


def test_presets_exclude_each_other():
    with pytest.raises(SelectionError, match="exclude each other"):
        make_policy(Effort(fast=True, rigorous=True))


def test_scenarios_of_one_name_are_refused(tmp_path):
    (tmp_path / "smoke.toml").write_text('question = "?"\n[[axes]]\nname = "n"\nvalues = [16]\n')
    with pytest.raises(catalog.ScenarioError, match="several scenarios are named smoke"):
        find_scenarios(["smoke", str(tmp_path / "smoke.toml")])


def test_a_scenario_named_twice_is_measured_once_and_none_means_the_default_set():
    assert [scenario.name for scenario in find_scenarios(["smoke", "smoke"])] == ["smoke"]
    assert [scenario.name for scenario in find_scenarios(None)] == list(catalog.DEFAULT)


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        (Cases(dtype=["float23"]), "no dtype 'float23'; did you mean 'float32'"),
        (Cases(direction=["sideways"]), "no direction 'sideways'; have: backward, forward"),
        (Cases(cache=["warm"]), "no cache 'warm'; have: cold, hot"),
        (Cases(axis=["m=1,2"]), "no axis 'm'"),
    ],
)
def test_a_restriction_by_an_unknown_value_names_the_known_ones(cases, message):
    with pytest.raises(SelectionError, match=re.escape(message)):
        make_selection(cases)


def test_a_selection_has_what_was_asked_for():
    selection = make_selection(Cases(impl=["loop"], axis=["n=16,32"], dtype=["float64"], cache=["cold"], shard="2/3"))
    assert selection.implementations == ("loop",)
    assert selection.axes == {"n": [16, 32]}
    assert (selection.dtypes, selection.caches, selection.shard) == (("float64",), ("cold",), (2, 3))


def test_options_are_chosen_as_axes_are():
    given = ["n=16", "online.block=64,256", "fa.num_splits[pow2]=1:2", "fa.warps=4", "*.pack=none"]
    selection = make_selection(Cases(axis=given))
    assert selection.axes == {"n": [16]}
    assert selection.variants == (
        "online:block=64", "online:block=256", "fa:num_splits=2,warps=4", "fa:num_splits=4,warps=4", "*:pack=None",
    )  # fmt: skip
    with pytest.raises(catalog.ScenarioError, match="axis 'block=1,,2' must read"):
        make_selection(Cases(axis=["online.block=1,,2"]))


def test_a_missing_implementation_file_is_named_before_anything_starts(tmp_path):
    with pytest.raises(SelectionError, match=r"none\.py: no such file"):
        make_request(Cases(scenarios=["smoke"], impl_file=[str(tmp_path / "none.py")]), Place(device="cpu"))


def test_a_run_is_asked_for_what_its_options_say():
    effort = Effort(fast=True, time_budget="10m", timeout="5", allocator="system", baseline="loop", seed=3)
    request = make_run_request(Cases(scenarios=["smoke"]), Place(device="cpu", threads=1), effort)
    assert (request.device, request.threads, request.preset, request.keep_memory) == ("cpu", 1, "fast", False)
    assert (request.baseline, request.seed, request.policy) == ("loop", 3, FAST)
    assert make_time_limits(effort) == TimeLimits(timeout=5.0, budget=600.0)
    assert make_time_limits(Effort()) == TimeLimits()


def test_a_new_run_directory_is_one_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = default_output()
    assert re.fullmatch(r"runs/\d{8}-\d{6}", str(first))
    first.mkdir(parents=True)
    assert not default_output().exists()
