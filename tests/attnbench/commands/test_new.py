"""`attnbench new` writes a kernel that is right as it stands, and never writes over a file."""

from __future__ import annotations

import ast
import json

import pytest

from attnbench.commands.new import TEMPLATE
from attnbench.console import USAGE
from impls import discovery, registry
from tests.support.commands import attnbench, in_process


def test_the_written_kernel_passes_the_quick_check_of_every_dtype_forward_and_backward(tmp_path):
    kernel = tmp_path / "new" / "my_kernel.py"
    done = in_process("new", kernel)
    assert done.exit_code == 0, done.output
    told = done.stdout.splitlines()
    assert told[0] == f"{kernel} registers my-kernel"
    assert f"  attnbench check --quick --impl-file {kernel}" in told
    checked = attnbench("check", "--quick", "--impl-file", str(kernel), "--device", "cpu", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    outcomes = [one for one in json.loads(checked.stdout)["outcomes"] if one["status"] != "unsupported"]
    assert {one["implementation"] for one in outcomes} == {"my-kernel"}
    assert {one["dtype"] for one in outcomes} == set(registry.DTYPES)
    assert {one["status"] for one in outcomes} == {"ok"}
    assert any("causal" in one["probe"] for one in outcomes)
    assert any("backward" in one["direction"] for one in outcomes)


def test_a_file_that_exists_is_kept(tmp_path):
    kernel = tmp_path / "my_kernel.py"
    kernel.write_text("mine")
    done = in_process("new", kernel)
    assert done.exit_code == USAGE
    assert done.stderr == f"attnbench: {kernel} exists: choose another name\n"
    assert kernel.read_text() == "mine"


def test_json_names_the_file_what_it_registers_and_what_to_run(tmp_path):
    done = in_process("new", tmp_path / "fast.py", "--name", "lab/fast-2", "--json")
    found = json.loads(done.stdout)
    assert (found["file"], found["name"]) == (str(tmp_path / "fast.py"), "lab/fast-2")
    assert [command.split()[1] for command in found["next"]] == ["check", "run"]
    tree = ast.parse((tmp_path / "fast.py").read_text())
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["fast"]
    assert discovery._declared_names(tmp_path / "fast.py") == [("attention", "lab/fast-2")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["my_kernel"], "'{folder}/my_kernel' names no Python module"),
        (["my kernel.py"], "'{folder}/my kernel.py' names no Python module"),
        (["lambda.py"], "'{folder}/lambda.py' names no Python module"),
        (["online.py"], "implementation 'online' is built in: choose another --name"),
        (["mine.py", "--name", 'a"b'], "name 'a\"b' must have letters"),
        (["taken/mine.py"], "can't write {folder}/taken/mine.py: "),
    ],
)
def test_what_can_t_be_written_is_told_in_a_line_and_nothing_is_written(words, message, tmp_path):
    (tmp_path / "taken").write_text("a file, and no folder")
    done = in_process("new", tmp_path / words[0], *words[1:])
    assert done.exit_code == USAGE
    assert done.stderr.startswith("attnbench: " + message.format(folder=tmp_path))
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_every_built_in_name_is_known_from_syntax_alone():
    discovery.discover()
    found = [name for name in registry.names("attention") if "/impls/" in registry.get("attention", name).source]
    assert set(discovery.built_in_names("attention")) == set(found)
    assert len(found) > 8


def test_the_template_says_its_file_and_its_name_where_they_are_needed():
    text = TEMPLATE.read_text()
    assert text.count("$FILE") == 2
    assert text.count("$NAME") == 2
    assert text.count("$FUNCTION") == 1
