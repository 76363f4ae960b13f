"""A run's result fits a terminal: a line for each implementation, its numbers with units."""

from __future__ import annotations

import pytest
from rich.console import Console

from harness.results.run import read_run
from reports.terminal import results
from reports.terminal.results import lines, table_of
from tests.support import runs


def test_an_interval_of_decades_is_called_unresolved():
    assert results.interval(4e-9, 0.275) == "unresolved"
    assert results.interval(None, None) == "none"
    assert results.interval(0.9e-3, 1.1e-3) == "900 µs to 1.10 ms"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "example")


def test_the_terminal_lines_put_the_quickest_first(run):
    found = [line for line in lines(load_run(run)) if line.scenario == "sequence-length"]
    assert found[0].implementation == "sdpa-flash"
    assert found[-1].implementation == "loop"


def load_run(path):

    return read_run(path)


def test_the_result_table_fits_a_terminal_of_eighty_columns(tmp_path):

    run = read_run(runs.make_run(tmp_path / "run"))
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table_of(run, width=console.width))
    printed = captured.get().splitlines()
    assert len(printed) == 1 + len(lines(run))
    assert "throughput" in printed[0]
