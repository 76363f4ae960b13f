"""The page is written whole: into a directory or a file, with nothing to fetch and scripts that its policy names."""

from __future__ import annotations

import base64
import gc
import hashlib
import re

import pytest
from jinja2 import UndefinedError

from harness.results.journal import JournalError
from reports.page import render
from tests.support import runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return runs.make_run(tmp_path_factory.mktemp("runs") / "run", sweeps=("batch",))


def test_a_directory_gets_a_report_under_its_usual_name(run, tmp_path):
    assert render.render([run], tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_file_gets_the_report_itself(run, tmp_path):
    assert render.render([run], tmp_path / "page.html") == tmp_path / "page.html"


def test_the_collector_runs_again_after_a_failure(tmp_path):
    with pytest.raises(JournalError):
        render.render([tmp_path / "nowhere"], tmp_path / "page.html")
    assert gc.isenabled()


def test_the_policy_names_every_script_of_the_page(run, tmp_path):
    text = render.render([run], tmp_path / "page.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    assert len(scripts) == 2
    policy = re.search(r'content="(default-src[^"]+)"', text)[1]
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy.replace("&#39;", "'").replace("&#43;", "+")


def test_a_template_that_lacks_a_value_is_an_error():
    with pytest.raises(UndefinedError):
        render.template("report.html.jinja", count=str).render()


@pytest.mark.parametrize("name", ["templates/report.css", "templates/report.js", "vendor/uplot/uPlot.iife.min.js"])
def test_assets_are_part_of_the_package(name):
    assert len(render.asset(name)) > 1000
