"""Implementations are found without any list, and a broken file costs only itself."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from impls import discovery, registry


def run_python(code: str, *arguments: str) -> str:
    """Run code in a fresh interpreter, where the registry is empty."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_builtin_implementation_is_found():
    discovery.discover()
    expected = {"loop", "batched", "einsum", "online", "sdpa-math", "sdpa-flash", "sdpa-efficient", "sdpa-cudnn"}
    assert expected | {"sdpa-auto"} <= set(registry.names("attention"))


def test_a_file_that_fails_to_import_is_unavailable_under_its_declared_name(tmp_path):
    kernel = tmp_path / "broken.py"
    kernel.write_text(
        "from attnbench import register\n"
        "import nowhere_to_be_found\n"
        "@register(problem='attention', name='mine')\n"
        "def f(q, k, v, **options): return q\n"
    )
    out = run_python(
        """
        import sys
        from impls import discovery, registry
        found = discovery.discover(impl_files=[sys.argv[1]])
        print(found.unavailable["attention", "mine"].reason, len(found.entries) > 8)
        """,
        str(kernel),
    )
    assert out.strip() == "ModuleNotFoundError: No module named 'nowhere_to_be_found' True"


def test_a_second_registration_of_a_name_is_refused(tmp_path):
    kernel = tmp_path / "twice.py"
    kernel.write_text(
        "from attnbench import register\n"
        "@register(problem='attention', name='batched')\n"
        "def f(q, k, v, *, causal=False, scale=None, valid_lens=None): return q\n"
    )
    out = run_python(
        """
        import sys
        from impls import discovery, registry
        found = discovery.discover(impl_files=[sys.argv[1]])
        print(found.unavailable["attention", "batched"].reason)
        print("batched.py" in found.entries["attention", "batched"].source)
        """,
        str(kernel),
    )
    assert "registered twice" in out
    assert "True" in out
