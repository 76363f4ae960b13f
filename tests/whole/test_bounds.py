"""The lowest versions that pyproject.toml allows are pinned by a session, and are versions that go together."""

from __future__ import annotations

import importlib.util
import tomllib

import pytest

from tests.support.places import ROOT


@pytest.fixture(scope="module")
def at_lowest():
    pytest.importorskip("nox")
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.at_lowest


def test_a_range_becomes_its_lower_end_and_keeps_its_condition(at_lowest):
    ranges = ["pandas>=2.2.2,<4", "nvidia-ml-py>=12.560.30; sys_platform != 'darwin'", "big-O==0.11.0", "typer >= 0.16"]
    assert at_lowest(ranges) == [
        "pandas==2.2.2", "nvidia-ml-py==12.560.30; sys_platform != 'darwin'", "big-O==0.11.0", "typer ==0.16",
    ]  # fmt: skip


def test_every_package_has_a_lower_end(at_lowest):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["test"]]
    assert [one for one in at_lowest(wanted) if "==" not in one] == []
