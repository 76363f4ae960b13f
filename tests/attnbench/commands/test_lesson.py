"""`attnbench lesson` refuses a place that it can't measure on or write to before it measures anything."""

from __future__ import annotations

import pytest

from attnbench.console import USAGE
from tests.support.commands import in_process


def refused(*words):
    done = in_process("lesson", *words)
    assert done.exit_code == USAGE
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_an_unknown_device_is_named_with_the_choices():
    assert refused("--device", "tpu") == "attnbench: no device 'tpu': have cpu, cuda, cuda:N, mps"


@pytest.mark.usefixtures("worker_here")
def test_a_directory_that_holds_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    assert f"{tmp_path} holds a run already" in refused("--device", "cpu", "-o", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


@pytest.mark.usefixtures("worker_here")
def test_a_directory_below_a_file_is_refused_by_name(tmp_path):
    (tmp_path / "taken").write_text("a file, and no folder")
    place = tmp_path / "taken" / "lesson"
    assert f"{place} is not a directory" in refused("--device", "cpu", "-o", str(place))


@pytest.mark.parametrize("words", [["--impl", "loop"], ["smoke"]])
def test_what_is_measured_is_the_lessons_to_say(words):
    done = in_process("lesson", *words)
    assert done.exit_code == USAGE
    assert "No such option" in done.stderr or "unexpected extra argument" in done.stderr
