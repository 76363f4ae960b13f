"""Implementations are found without any list, and a broken file costs only itself."""

from __future__ import annotations

import ast
import hashlib
import sys
import textwrap
from pathlib import Path

import pytest

from impls import discovery, registry
from tests.support.places import ROOT

HONEST = """
from attnbench import register
@register(problem="pooling", name="{name}", devices="cpu")
def attend(*tensors, **options): return tensors
"""


@pytest.fixture
def own(monkeypatch):
    """Let discovery add to a registry of its own, which begins with what is built in."""
    built_in = discovery.discover()
    found = registry.Registry(entries=dict(built_in.entries), loaded=set(built_in.loaded))
    monkeypatch.setattr(discovery, "REGISTRY", found)
    monkeypatch.setattr(registry, "REGISTRY", found)
    return found


def added(own):
    return {key: entry for key, entry in own.entries.items() if not Path(entry.source).is_relative_to(ROOT / "impls")}


def written(path, text):
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_every_builtin_implementation_is_found():
    discovery.discover()
    expected = {"loop", "batched", "einsum", "online", "sdpa-math", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn"}
    assert expected | {"sdpa-auto"} <= set(registry.names("attention"))


def test_a_file_in_a_sub_folder_is_found_after_those_of_its_problem():
    files = [str(file.relative_to(ROOT / "impls")) for file in discovery.sources(ROOT / "impls" / "attention")]
    assert "attention/libraries/onnx_runtime.py" in files
    assert files.index("attention/sdpa.py") < files.index("attention/libraries/onnx_runtime.py")
    assert not [name for name in files if "/_" in name or name.endswith("problem.py")]
    assert registry.get("attention", "onnxruntime").source.endswith("attention/libraries/onnx_runtime.py")
    assert "onnxruntime" in discovery.built_in_names("attention")


def test_what_was_written_from_documentation_runs_on_request_and_says_whether_it_ever_ran():
    discovery.discover()
    written = [
        entry
        for (problem, _), entry in registry.REGISTRY.entries.items()
        if problem == "attention" and "/attention/cuda/" in entry.source and not entry.chosen
    ]
    assert len(written) == 10
    for entry in written:
        assert entry.on_request, entry.name
        assert all(limits.devices == ("cuda",) and limits.requires for limits in entry.limits)
        # docs/gpu.md has what came of those that ran.
        assert {limits.untried for limits in entry.limits} == {entry.name not in {"flashinfer", "sageattention"}}
        assert registry.get("multihead", f"mha/{entry.name}").on_request


def test_no_file_imports_an_optional_package_before_it_is_called():
    discovery.discover()
    for entry in registry.REGISTRY.entries.values():
        packages = {name.split(".")[0] for limits in entry.limits for name in limits.requires}
        # Functions alone hold imports of these.
        tree = ast.parse(Path(entry.source).read_text())
        names = [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert not packages & {name.split(".")[0] for name in names}, entry.name


def test_a_file_that_takes_a_name_that_is_taken_is_unavailable_and_the_first_stays(own, tmp_path):
    text = """
    from attnbench import register
    @register(problem='attention', name='batched')
    def f(q, k, v, *, causal=False, scale=None, valid_lens=None): return q
    """
    discovery.discover(impl_files=[written(tmp_path / "twice.py", text)])
    assert "registered twice" in own.unavailable["attention", "batched"].reason
    assert own.entries["attention", "batched"].source.endswith("batched.py")


def test_a_file_that_fails_to_import_is_unavailable_under_its_declared_name(own, tmp_path):
    text = """
    from attnbench import register
    import nowhere_to_be_found
    @register(problem='attention', name='mine')
    def f(q, k, v, **options): return q
    """
    discovery.discover(impl_files=[written(tmp_path / "broken.py", text)])
    missing = own.unavailable["attention", "mine"]
    assert missing.reason == "ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert len(own.entries) > 8


def test_a_file_is_found_once_however_often_it_is_named(own, tmp_path):
    file = written(tmp_path / "mine.py", HONEST.format(name="mine"))
    told = []
    for name in (file, str(tmp_path / "." / "mine.py"), file):
        assert discovery.discover(impl_files=[name], announce=told.append) is own
    assert told == [f"import {file}"]
    assert list(added(own)) == [("pooling", "mine")]


def test_files_of_one_name_in_two_folders_are_two_modules(own, tmp_path):
    (tmp_path / "other").mkdir()
    files = [written(folder / "mine.py", HONEST.format(name=folder.name)) for folder in (tmp_path, tmp_path / "other")]
    discovery.discover(impl_files=files)
    assert [entry.source for entry in added(own).values()] == files
    assert len({entry.function for entry in added(own).values()}) == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("def (", "SyntaxError: "),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        ("raise ValueError", "ValueError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ],
)
def test_a_file_that_fails_in_any_way_is_unavailable_with_the_reason(own, tmp_path, body, reason):
    file = written(tmp_path / "my_kernel.py", body)
    discovery.discover(impl_files=[file])
    missing = own.unavailable["attention", "my-kernel"]
    assert missing.reason.startswith(reason)
    assert not missing.reason.endswith(":")
    assert missing.source == file


def test_what_a_file_registered_before_it_failed_is_taken_back(own, tmp_path):
    file = written(tmp_path / "half.py", HONEST.format(name="first") + "raise ValueError('then this')\n")
    discovery.discover(impl_files=[file])
    assert added(own) == {}
    assert own.unavailable["pooling", "first"].reason == "ValueError: then this"


def test_every_name_that_a_broken_file_declares_is_unavailable_under_its_problem(own, tmp_path):
    text = """
    import attnbench, nowhere_to_be_found
    @attnbench.register(problem="attention", name="mine")
    @attnbench.register(devices="cuda", problem="attention", name="mine")
    def first(): ...
    @attnbench.register(problem="multihead", name="whole")
    def second(): ...
    @attnbench.register(problem="pooling", name=COMPUTED)
    def third(): ...
    """
    discovery.discover(impl_files=[written(tmp_path / "many.py", text)])
    assert list(own.unavailable) == [("attention", "mine"), ("multihead", "whole")]


def test_a_missing_file_is_unavailable(own, tmp_path):
    discovery.discover(impl_files=[tmp_path / "none.py"])
    assert own.unavailable["attention", "none"].reason == f"FileNotFoundError: no file {tmp_path / 'none.py'}"


def test_a_source_that_kills_the_process_is_not_imported_again_and_says_why(own, tmp_path):
    file = written(tmp_path / "deadly.py", f"open({str(tmp_path / 'ran')!r}, 'w')\n" + HONEST.format(name="deadly"))
    discovery.discover(impl_files=[file], skip={file: "killed by SIGSEGV at import"})
    assert own.unavailable["pooling", "deadly"].reason == "ImportError: killed by SIGSEGV at import"
    assert not (tmp_path / "ran").exists()


def test_an_interrupt_is_no_reason(own, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        discovery.discover(impl_files=[written(tmp_path / "slow.py", "raise KeyboardInterrupt")])


def test_a_digest_tells_versions_of_a_file_apart_and_not_where_it_lies(own, tmp_path):
    # Named by its folder, so that one text may be registered three times.
    text = HONEST.replace('"{name}"', "__file__.split('/')[-2]")
    for folder, more in (("a", ""), ("b", ""), ("c", "# changed\n")):
        (tmp_path / folder).mkdir()
        discovery.discover(impl_files=[written(tmp_path / folder / "mine.py", text + more)])
    digests = [own.digests["pooling", folder] for folder in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert {len(digest) for digest in digests} == {discovery.DIGEST_LENGTH}


def test_a_digest_tells_versions_of_the_modules_beside_a_file_apart(own, tmp_path):
    digests = []
    for folder, deep in (("a", "D = 1"), ("b", "D = 1"), ("c", "D = 2")):
        place = tmp_path / folder
        (place / "parts").mkdir(parents=True)
        for name, text in {
            "unused.py": f"F = '{folder}'",
            "helping.py": "from parts import deep",
            "parts/__init__.py": "",
            "parts/deep.py": deep,
        }.items():
            (place / name).write_text(text)
        # Whether they can be imported is another question.
        lazy = "\ndef later():\n    import torch, helping\n"
        file = written(place / "mine.py", HONEST.format(name="mine") + lazy)
        found = [one.relative_to(place).as_posix() for one in discovery.helpers(Path(file))]
        assert found == ["helping.py", "parts/__init__.py", "parts/deep.py"]
        own.entries.pop(("pooling", "mine"), None)
        discovery.discover(impl_files=[file])
        digests.append(own.digests["pooling", "mine"])
    assert digests[0] == digests[1] != digests[2]


def test_the_digest_is_of_what_was_imported_and_not_of_a_later_edit(own, tmp_path):
    edit = "from pathlib import Path\nPath(__file__).write_text('# edited')\n"
    file = tmp_path / "mine.py"
    imported = HONEST.format(name="mine") + edit
    discovery.discover(impl_files=[written(file, imported)])
    assert file.read_text() == "# edited"
    same = tmp_path / "same.py"
    discovery.discover(impl_files=[written(same, imported.replace('"mine"', '"same"'))])
    expected = hashlib.sha256(b"\0" + 2 * imported.encode()).hexdigest()[: discovery.DIGEST_LENGTH]
    assert own.digests["pooling", "mine"] == expected
    assert own.digests["pooling", "same"] != expected


def test_an_entry_point_is_loaded_under_its_name_and_a_broken_one_is_unavailable(own, monkeypatch, tmp_path):
    (tmp_path / "a_plugin_of_ours.py").write_text(HONEST.format(name="plugged"))
    info = tmp_path / "a_plugin_of_ours-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin-of-ours\nVersion: 1.2\n")
    group = f"[{discovery.ENTRY_POINT_GROUP}]\n"
    (info / "entry_points.txt").write_text(f"{group}plugged = a_plugin_of_ours\nbroken = a_plugin_of_nobody\n")
    monkeypatch.syspath_prepend(tmp_path)
    told = []
    discovery.discover(announce=told.append)
    assert told == ["import entry point plugged", "import entry point broken"]
    assert own.entries["pooling", "plugged"].source == str(tmp_path / "a_plugin_of_ours.py")
    assert own.brought_by["pooling", "plugged"] == "entry point plugged"
    missing = own.unavailable["attention", "broken"]
    assert missing.reason == "ModuleNotFoundError: No module named 'a_plugin_of_nobody'"
    assert missing.source == "entry point broken of a-plugin-of-ours 1.2"


def test_a_digest_tells_edits_of_any_module_of_a_plugins_package_apart(own, monkeypatch, tmp_path):
    package = tmp_path / "plugin_of_two"
    package.mkdir()
    (package / "__init__.py").write_text("from . import inner\n" + HONEST.format(name="of-two"))
    (package / "inner.py").write_text("FACTOR = 1\n")
    info = tmp_path / "plugin_of_two-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-of-two\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{discovery.ENTRY_POINT_GROUP}]\ntwo = plugin_of_two\n")
    monkeypatch.syspath_prepend(tmp_path)

    def digest():
        own.entries.pop(("pooling", "of-two"), None)
        own.digests.pop(("pooling", "of-two"), None)
        own.loaded.discard("entry point two")
        for name in ("plugin_of_two", "plugin_of_two.inner"):
            sys.modules.pop(name, None)
        discovery.discover()
        return own.digests["pooling", "of-two"]

    first, again = digest(), digest()
    (package / "inner.py").write_text("FACTOR = 2\n")
    edited = digest()
    (info / "RECORD").write_text("plugin_of_two/kernel.so,sha256=abc,1\n")
    assert first == again != edited != digest()
