"""Each example does what its page says: kernels, plugin and scenario are run as they lie there."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib

import pytest

from scenarios import catalog
from tests.support.commands import in_process
from tests.support.places import ROOT

EXAMPLES = ROOT / "examples"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The plugin as an installer would leave it: its modules on the path, its entry points beside them."""
    project = tomllib.loads((EXAMPLES / "plugin" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
            for group, points in groups
        )
    )
    paths = [str(tmp_path), str(EXAMPLES / "plugin" / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))


def statuses(stdout, name):
    """The statuses of the probes that an implementation was asked."""
    outcomes = [one for one in json.loads(stdout)["outcomes"] if one["implementation"] == name]
    return {one["status"] for one in outcomes} - {"unsupported"}


@pytest.mark.usefixtures("installed")
def test_the_plugin_is_found_by_its_entry_point():
    listed = json.loads(in_process("list", "--device", "cpu", "--json").stdout)
    (entry,) = [entry for entry in listed["implementations"] if entry["name"] == "chunked"]
    assert entry["available"]
    assert set(entry["supports"]) == {"causal", "backward"}


@pytest.mark.usefixtures("installed")
def test_the_plugin_s_own_tests_pass():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "plugin" / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=EXAMPLES / "plugin", timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What is listed of the files where neither the plugin nor a compiler is there, by name."""
    files = [word for name in ("triton_kernel", "cpp_kernel") for word in ("--impl-file", str(EXAMPLES / f"{name}.py"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("CXX", "no-such-compiler")
        listed = json.loads(in_process("list", *files, "--device", "cpu", "--json").stdout)
    return {entry["name"]: entry for entry in listed["implementations"]}


def test_without_its_entry_point_the_plugin_is_not_there(bare):
    assert "sdpa-auto" in bare
    assert "chunked" not in bare


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_the_triton_kernel_agrees_in_the_interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    kernel = str(EXAMPLES / "triton_kernel.py")
    done = in_process("check", "--quick", "--impl-file", kernel, "--impl", "triton-flash", "--device", "cpu", "--json")
    assert done.exit_code == 0, done.output
    assert statuses(done.stdout, "triton-flash") == {"ok"}


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.parametrize(
    ("right", "wrong_part"),
    [
        ("total * shrink + ", "total + "),
        ("weights * (towards - drift[:, None])", "weights * towards"),
        ("tl.maximum(block * BLOCK - (n_k - n_q), 0)", "tl.maximum(block * BLOCK, 0)"),
    ],
    ids=["sums not rescaled", "drift forgotten", "rows of a rectangle left out"],
)
def test_a_wrong_triton_kernel_is_refused_in_the_interpreter(monkeypatch, tmp_path, right, wrong_part):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    text = (EXAMPLES / "triton_kernel.py").read_text(encoding="utf-8")
    wrong = tmp_path / "wrong.py"
    assert text.count(right) == 1
    wrong.write_text(text.replace(right, wrong_part).replace("triton-flash", "triton-wrong"))
    words = ["--impl-file", str(wrong), "--impl", "triton-wrong", "--dtype", "float32", "-k", "n_q 100, n_k 257"]
    done = in_process("check", *words, "--device", "cpu", "--json")
    assert "disagreed" in statuses(done.stdout, "triton-wrong")


@pytest.mark.skipif(importlib.util.find_spec("triton") is not None, reason="triton is installed")
def test_where_triton_is_missing_the_kernel_is_listed_with_the_reason(bare):
    assert not bare["triton-flash"]["available"]
    assert "triton" in bare["triton-flash"]["reason"]


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_the_kernel_in_cpp_is_compiled_once_and_agrees(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    kernel = str(EXAMPLES / "cpp_kernel.py")
    for words in (["--quick"], ["-k", "decode"]):
        done = in_process("check", *words, "--impl-file", kernel, "--impl", "cpp-rows", "--device", "cpu", "--json")
        assert done.exit_code == 0, done.output
        assert statuses(done.stdout, "cpp-rows") == {"ok"}
    assert len(list((tmp_path / "attnbench-examples").iterdir())) == 1


def test_without_a_compiler_the_kernel_in_cpp_is_listed_with_the_reason(bare):
    assert not bare["cpp-rows"]["available"]
    assert "no-such-compiler" in bare["cpp-rows"]["reason"]


@pytest.mark.gpu
def test_the_triton_kernel_agrees_on_a_gpu():
    kernel = str(EXAMPLES / "triton_kernel.py")
    done = in_process("check", "--quick", "--impl-file", kernel, "--impl", "triton-flash", "--device", "cuda", "--json")
    assert done.exit_code == 0, done.output
    assert statuses(done.stdout, "triton-flash") == {"ok"}


@pytest.mark.usefixtures("worker_here")
def test_the_scenario_reads_and_its_plan_grows_with_the_keys():
    scenario = catalog.read(EXAMPLES / "decode.toml")
    assert (scenario.name, [claim.id for claim in scenario.claims]) == ("decode", ["decode-linear"])
    done = in_process("plan", EXAMPLES / "decode.toml", "--device", "cpu", "--impl", "sdpa-auto", "--json")
    assert done.exit_code == 0, done.output
    cases = json.loads(done.stdout)["cases"]
    assert [case["case"]["point"]["n_k"] for case in cases] == list(scenario.axes[0].values)
    assert all(case["case"]["point"]["kv_heads"] == 8 for case in cases)


@pytest.mark.usefixtures("worker_here")
def test_the_scenario_runs(tmp_path):
    words = ["--device", "cpu", "--impl", "sdpa-auto", "-a", "n_k=64,128,256", "--fast", "-o", tmp_path / "run"]
    done = in_process("run", EXAMPLES / "decode.toml", *words, "--json")
    assert done.exit_code == 0, done.output
    verdicts = json.loads((tmp_path / "run" / "verdicts.json").read_text(encoding="utf-8"))
    assert "decode-linear" in json.dumps(verdicts)


def test_the_notebook_of_the_lesson_runs_cell_by_cell(capsys):
    notebook = json.loads((EXAMPLES / "lesson.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    known = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(cell, "lesson.ipynb", "exec"), known)  # the notebook is this repository's
    said = capsys.readouterr().out
    assert "(100, 50) weights, each row sums to 1.000" in said
    assert known["difference"] < 1e-5
    assert (known["growth"], known["wider"]) == (4.0, 2.0)
