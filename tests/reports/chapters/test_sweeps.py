"""The sweeps of attention: growth along each axis, who is faster, and what launching adds."""

from __future__ import annotations

import pytest

from harness.results.run import read_run
from reports.page.render import render
from tests.support import runs


@pytest.fixture(scope="module")
def gpu(tmp_path_factory):
    return read_run(runs.make_gpu_run(tmp_path_factory.mktemp("gpu") / "run"))


def test_launch_overhead_has_a_table_and_stands_in_the_case(gpu, tmp_path):
    page = render([gpu.path], tmp_path / "page.html").read_text(encoding="utf-8")
    table = page[page.index("Launch overhead apart from kernel time") :]
    assert "40 %" in table[:4000]
    assert "200 calls, 4 input sets" in table[:4000]
