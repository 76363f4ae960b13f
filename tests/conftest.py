"""What every test shares: GPU tests are skipped without a GPU; `--impl-file FILE` holds a file to the gates."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from impls import contract, discovery
from tests.support import sample

if TYPE_CHECKING:
    from pathlib import Path

# Seconds per test where pytest-timeout is installed; GPU tests run without it.
os.environ.setdefault("PYTEST_TIMEOUT", "600")
GPU_TESTS = ("mark.gpu", "gate_case")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m gpu` import only files that have such tests: the others need packages that a GPU machine may lack."""
    if config.option.markexpr != "gpu" or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return None if any(mark in text for mark in GPU_TESTS) else True


@pytest.fixture(scope="session", autouse=True)
def _own_places(tmp_path_factory):
    """Keep what tests measure out of the user's cache, and runs beside them, other tests' too, out of their way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("locks")))
        # By this pytest-benchmark would take a session that a test starts for one of the processes of this one.
        patch.delenv("PYTEST_XDIST_WORKER", raising=False)
        yield


@pytest.fixture(scope="module")
def no_page():
    """Let runs write a page without figures, which take two seconds: for tests that read everything else."""
    from reports.page import render

    def write(_runs, page, **_):
        page.write_text("<html></html>", encoding="utf-8")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "write", write)
        yield


@pytest.fixture
def worker_here(monkeypatch):
    """Let workers be in this process: for tests whose implementations are honest, or none is called."""
    from tests.support.worker_here import take_the_place_of_processes

    take_the_place_of_processes(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def _forked_workers(pytestconfig):
    """Fork workers of a process that has torch; on a GPU they are started as ever, since a driver knows no forks."""
    if sys.platform != "linux" or pytestconfig.option.markexpr == "gpu":
        yield
        return
    from tests.support import forked

    with pytest.MonkeyPatch.context() as patch, contextlib.closing(forked.Sources()) as sources:
        forked.fork_workers(patch.setattr, sources)
        yield


@pytest.fixture
def started_workers(monkeypatch):
    """Start workers as a user's run does: for tests of how one is started."""
    from harness.runner import process

    monkeypatch.setattr(process, "subprocess", subprocess)


def pytest_configure(config: pytest.Config) -> None:
    """Where tests run side by side, each process has one thread: more would wait for each other's cores, spinning."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--impl-file", action="append", default=[], help="Python file that registers implementations")
    parser.addoption("--all-gates", action="store_true", help="run the gates' tests in every dtype")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test of `gate_case` every implementation, dtype and device; those of the given files where there are."""
    if "gate_case" not in metafunc.fixturenames:
        return
    files = metafunc.config.getoption("--impl-file")
    known = set(discovery.discover().entries)
    found = discovery.discover(impl_files=files)
    # What runs on request has tests of its own, where its package is.
    wanted = [key for key, entry in found.entries.items() if (key not in known if files else not entry.on_request)]
    metafunc.parametrize("gate_case", [case for key in wanted for case in _cases(found.entries[key])])
    if files:
        missing = [entry.reason for key, entry in found.unavailable.items() if entry.source.endswith(tuple(files))]
        if missing or not wanted:
            raise pytest.UsageError(f"{', '.join(files)}: {'; '.join(missing) or 'registers nothing'}")


def _cases(entry: contract.Implementation) -> list:
    return [
        pytest.param(
            (entry, device, dtype),
            id=f"{entry.problem}-{entry.name}-{device}-{dtype}",
            marks=[pytest.mark.gpu] if device == "cuda" else sample.marks(entry.name, dtype, limits.dtypes),
        )
        for device in ("cpu", "cuda")
        if (limits := entry.limits_on(device)) is not None
        for dtype in limits.dtypes
    ]


def pytest_collection_finish():
    """Keep collections off what was imported: nothing of it goes, and tests of workers collect hundreds of times."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    """Leave out what is beyond the sample unless all is asked for; skip GPU tests where there is no CUDA device."""
    if not config.getoption("--all-gates") and not config.getoption("--impl-file"):
        beyond = [item for item in items if item.get_closest_marker("beyond_sample")]
        items[:] = [item for item in items if not item.get_closest_marker("beyond_sample")]
        if beyond:
            config.hook.pytest_deselected(items=beyond)
    if hasattr(config, "workerinput"):
        # A file with a few long tests that came last would leave the other processes idle.
        items.sort(key=lambda item: item.path.parent.name != "whole")
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
