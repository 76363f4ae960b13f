"""Files of others are the version that is named."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from reports.page.vendor import compare

HERE = compare.HERE


def test_vendored_files_are_those_whose_version_is_named():
    script = (compare.HERE / "uplot/uPlot.iife.min.js").read_text(encoding="utf-8")
    assert compare.PACKAGE.endswith("@1.6.32")
    assert "v1.6.32" in script[:300]


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Stand for the registry: an archive with what is vendored, and with changes to it."""
    changed = {}

    def fetch(command, *, cwd, check):
        assert (command[-1], check) == (compare.PACKAGE, True)
        with tarfile.open(f"{cwd}/package.tgz", "w:gz") as package:
            for name, member in compare.FILES.items():
                raw = changed.get(name, (HERE / name).read_bytes())
                entry = tarfile.TarInfo(member)
                entry.size = len(raw)
                package.addfile(entry, io.BytesIO(raw))

    monkeypatch.setattr(compare.subprocess, "run", fetch)
    return changed


def test_what_is_vendored_is_as_published(published, capsys):
    assert compare.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == list(compare.FILES)
    for name, line in zip(compare.FILES, said, strict=True):
        assert line.endswith(f"sha256 {hashlib.sha256((HERE / name).read_bytes()).hexdigest()} as published")


def test_a_file_that_differs_is_named(published, capsys):
    published["uplot/LICENSE"] = b"another licence"
    assert compare.main() == 1
    said = [line for line in capsys.readouterr().out.splitlines() if line.endswith("differs")]
    assert [line.split(":")[0] for line in said] == ["uplot/LICENSE"]
